import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from tests.unit.api.serving import Background, HandWorker, Serving
from tests.waiting import until

COUNT = {"kind": "count_words", "spec": {"text": "one two"}}


def submitted(client: TestClient, **more: object) -> str:
    answer = client.post("/v1/jobs", json={**COUNT, **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_a_long_poll_answers_when_the_job_is_final(client: TestClient, worker: HandWorker, serving: Serving) -> None:
    job_id = submitted(client)
    call = Background(lambda: client.get(f"/v1/jobs/{job_id}?wait=60").json())
    until(lambda: serving.services.tailer.watched_jobs)
    token = worker.start(job_id)
    worker.report(token, 0.5, "half")
    worker.succeed(token, words=2)
    job = call.result()
    assert isinstance(job, dict)
    assert (job["state"], job["reason"], job["result"]) == ("succeeded", "completed", {"words": 2})
    assert job["progress"] == {"fraction": 1.0, "message": "half", "eta_seconds": 0.0}
    assert job["metrics"]["peak_memory_bytes"] == 1000
    assert job["metrics"]["run_seconds"] is not None
    until(lambda: not serving.services.tailer.watched_jobs)


def test_many_waiters_hold_no_threads(client: TestClient, worker: HandWorker, serving: Serving) -> None:
    """More of them than the server has threads, and all the while it answers others."""
    job_id = submitted(client)
    with ThreadPoolExecutor(60) as pool:
        polls = [pool.submit(client.get, f"/v1/jobs/{job_id}?wait=60") for _ in range(60)]
        until(lambda: sum(map(len, serving.services.tailer._waiters.values())) == 60)
        assert client.get("/v1/queues").status_code == 200
        worker.succeed(worker.start(job_id))
        assert {poll.result().json()["state"] for poll in polls} == {"succeeded"}


@pytest.mark.parametrize("wait", ["61", "-1", "soon"])
def test_a_wait_has_limits(shared_client: TestClient, wait: str) -> None:
    answer = shared_client.get(f"/v1/jobs/{submitted(shared_client)}?wait={wait}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "wait")


def test_lists_are_filtered_and_paged(client: TestClient) -> None:
    ids = [submitted(client, tags={"n": str(i), "even": str(i % 2 == 0)}) for i in range(5)]
    other = client.post("/v1/jobs", json={"kind": "add_numbers", "spec": {"a": 1, "b": 2}}).json()["id"]

    def listed(query: str) -> list[str]:
        return [job["id"] for job in client.get(f"/v1/jobs?{query}").json()["jobs"]]

    assert listed("") == [other, *reversed(ids)]
    assert listed("kind=add_numbers") == [other]
    assert listed("tag.n=3") == [ids[3]]
    assert listed("tag.even=True&tag.n=2") == [ids[2]]
    assert listed("queue=gpu") == []
    assert listed("state=running") == []
    page = client.get("/v1/jobs?kind=count_words&limit=2").json()
    assert [job["id"] for job in page["jobs"]] == [ids[4], ids[3]]
    assert listed(f"kind=count_words&cursor={page['next_cursor']}") == [ids[2], ids[1], ids[0]]
    assert client.get(f"/v1/jobs?cursor={ids[1]}&limit=1").json()["next_cursor"] is None


@pytest.mark.parametrize("query", ["stat=running", "state=lazy", "limit=0", "limit=1000", 'tag.a"b=c', "tag.=x"])
def test_filters_that_do_not_exist_are_refused(shared_client: TestClient, query: str) -> None:
    assert shared_client.get(f"/v1/jobs?{query}").status_code == 422


def test_cancelling_and_stopping(client: TestClient, worker: HandWorker) -> None:
    queued, running = submitted(client), submitted(client)
    answer = client.post(f"/v1/jobs/{queued}/cancel").json()
    assert (answer["state"], answer["reason"]) == ("cancelled", "cancelled_by_user")
    token = worker.start(running)
    assert client.post(f"/v1/jobs/{running}/stop").json()["state"] == "running"
    worker.succeed(token, words=1)
    job = client.get(f"/v1/jobs/{running}").json()
    assert (job["state"], job["reason"]) == ("succeeded", "stopped_by_user")
    again = client.post(f"/v1/jobs/{running}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "job_is_final")
    assert "succeeded" in again.json()["detail"]


@pytest.mark.parametrize("action", ["cancel", "stop"])
def test_only_the_worker_of_a_running_job_is_woken(
    client: TestClient, serving: Serving, worker: HandWorker, action: str
) -> None:
    queued, running = submitted(client), submitted(client)
    token = worker.start(running)
    assert client.post(f"/v1/jobs/{queued}/{action}").status_code == 200
    assert client.post(f"/v1/jobs/{running}/{action}").status_code == 200
    until(lambda: serving.broadcaster.woken, what="a wake")
    assert serving.broadcaster.woken == [running]
    worker.succeed(token, words=1)
    assert client.post(f"/v1/jobs/{running}/{action}").status_code == 409
    assert serving.broadcaster.woken == [running]


def test_a_failed_job_tells_why(client: TestClient, worker: HandWorker) -> None:
    job_id = submitted(client)
    worker.fail(worker.start(job_id), "Column 'x' is missing.")
    job = client.get(f"/v1/jobs/{job_id}").json()
    assert job["error"] == {"code": "invalid_input", "message": "Column 'x' is missing."}
    [attempt] = client.get(f"/v1/jobs/{job_id}/attempts").json()["attempts"]
    assert (attempt["outcome"], attempt["reason"], attempt["worker"]) == ("failed", "invalid_input", "cpu@here")
    assert attempt["cause"] == "Column 'x' is missing."


def sse(client: TestClient, job_id: str, **headers: str) -> list[dict[str, str]]:
    answer = client.get(f"/v1/jobs/{job_id}/events", headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = [block for block in answer.text.split("\n\n") if block.startswith("id:")]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


def test_events_stream_to_the_end_and_resume(client: TestClient, worker: HandWorker) -> None:
    job_id = submitted(client)
    call = Background(lambda: client.get(f"/v1/jobs/{job_id}/events").text)
    token = worker.start(job_id)
    worker.report(token, 0.5, "half")
    worker.board(token, ("GBM_1", 0.9))
    worker.succeed(token)
    text = str(call.result())
    types = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert types == ["state", "state", "progress", "leaderboard", "state", "final"]
    rest = sse(client, job_id, **{"Last-Event-ID": "3"})
    assert [(event["id"], event["event"]) for event in rest] == [("4", "leaderboard"), ("5", "state"), ("6", "final")]
    final = json.loads(rest[-1]["data"])
    assert (final["seq"], final["type"], final["data"]["state"]) == (6, "final", "succeeded")
    over = client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": "6"})
    assert (over.status_code, over.content) == (204, b"")


def test_a_quiet_stream_is_kept_alive(client: TestClient, worker: HandWorker, serving: Serving) -> None:
    job_id = submitted(client)
    call = Background(lambda: client.get(f"/v1/jobs/{job_id}/events").text)
    until(lambda: serving.services.tailer.watched_jobs)
    # The second time that somebody waits is after a comment was sent.
    until(lambda: not serving.services.tailer.watched_jobs)
    worker.succeed(worker.start(job_id))
    assert ": still here\n\n" in str(call.result())


def test_events_in_pages(client: TestClient, worker: HandWorker) -> None:
    job_id = submitted(client)
    token = worker.start(job_id)
    for i in range(3):
        worker.log(token, f"line {i}")
    page = client.get(f"/v1/jobs/{job_id}/events?format=json&limit=4").json()
    assert [event["seq"] for event in page["events"]] == [1, 2, 3, 4]
    assert (page["next_after"], page["complete"]) == (4, False)
    worker.succeed(token)
    page = client.get(f"/v1/jobs/{job_id}/events?format=json&after=4").json()
    assert [event["type"] for event in page["events"]] == ["log", "state", "final"]
    assert page["complete"] is True


def test_a_resume_needs_a_number(shared_client: TestClient) -> None:
    answer = shared_client.get(f"/v1/jobs/{submitted(shared_client)}/events", headers={"Last-Event-ID": "x"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Last-Event-ID")


def test_the_leaderboard_grows_and_is_there_as_csv(client: TestClient, worker: HandWorker) -> None:
    job_id = submitted(client)
    address = f"/v1/jobs/{job_id}/leaderboard"
    assert client.get(address).json() == {"rows": [], "sort_metric": None, "complete": False, "kept": {}}
    token = worker.start(job_id)
    worker.board(token, ("GBM_2", 0.75), ("GLM_1", float("nan")), complete=True)
    assert client.get(address).json() == {
        "rows": [
            {"rank": 1, "model_id": "GBM_2", "algo": "GBM", "auc": 0.75, "logloss": 0.25},
            {"rank": 2, "model_id": "GLM_1", "algo": "GLM", "auc": None, "logloss": None},
        ],
        "sort_metric": "auc",
        "complete": True,
        "kept": {},
    }
    table = client.get(address, headers={"Accept": "text/csv"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.text == "rank,model_id,algo,auc,logloss\n1,GBM_2,GBM,0.75,0.25\n2,GLM_1,GLM,,\n"


def test_artifacts_are_listed_and_fetched_in_parts(client: TestClient, worker: HandWorker) -> None:
    job_id = submitted(client)
    token = worker.start(job_id)
    worker.save(token, "plot.html", b"0123456789", "text/html")
    [listed] = client.get(f"/v1/jobs/{job_id}/artifacts").json()["artifacts"]
    assert (listed["name"], listed["media_type"], listed["size_bytes"]) == ("plot.html", "text/html", 10)
    address = f"/v1/jobs/{job_id}/artifacts/plot.html"
    whole = client.get(address)
    assert whole.content == b"0123456789"
    assert whole.headers["content-disposition"] == 'attachment; filename="plot.html"'
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["etag"] == f'"{listed["sha256"]}"'
    part = client.get(address, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert client.get(address, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    changed = client.get(address, headers={"Range": "bytes=2-4", "If-Range": '"other"'})
    assert (changed.status_code, changed.content) == (200, b"0123456789")
    for wrong in ("bytes=20-", "bytes=x"):
        beyond = client.get(address, headers={"Range": wrong})
        assert (beyond.status_code, beyond.json()["code"]) == (416, "range_not_satisfiable")
    assert client.get(f"/v1/jobs/{job_id}/artifacts/none.txt").status_code == 404
    assert client.get(f"/v1/jobs/{job_id}/artifacts/..%2F..%2Fturnout.db").status_code == 404
