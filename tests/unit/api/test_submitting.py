import json
import threading

import pytest
from fastapi.testclient import TestClient

from db.engine import Database
from db.rows import JobRow
from tests.unit.api.serving import Background, HandWorker, Serving
from tests.waiting import until

COUNT = {"kind": "count_words", "spec": {"text": "one two"}}


def test_a_submission_is_accepted_with_its_address_and_all_fields(client: TestClient) -> None:
    answer = client.post("/v1/jobs", json={**COUNT, "priority": 7, "tags": {"team": "red"}})
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert set(job) == {
        *("id", "kind", "state", "reason", "queue", "priority", "spec", "result", "error", "progress", "attempt"),
        *("max_attempts", "worker", "created_at", "queued_at", "started_at", "finished_at", "run_at", "after", "tags"),
        *("metrics", "waiting_for", "retry_of", "webhook"),
    }
    assert (job["state"], job["queue"], job["priority"], job["max_attempts"]) == ("queued", "cpu", 7, 3)
    assert job["spec"] == {"text": "one two"}
    assert job["tags"] == {"team": "red"}
    assert job["waiting_for"] == "no live worker for queue `cpu`"
    assert set(job["metrics"]) == {
        "queue_seconds",
        "load_seconds",
        "run_seconds",
        "batch_size",
        "padding_share",
        "batch_wait_seconds",
        "device_seconds",
        "model_loads",
        "model_hits",
        "model_bytes",
        "peak_memory_bytes",
    }
    assert job["progress"] == {"fraction": None, "message": None, "eta_seconds": None}


def test_the_broker_is_told_after_the_commit(client: TestClient, serving: Serving) -> None:
    job = client.post("/v1/jobs", json=COUNT).json()
    until(lambda: serving.sender.sent == [("cpu", job["id"], "count_words")])


def test_jobs_are_accepted_while_the_broker_is_away_and_told_of_later(client: TestClient, serving: Serving) -> None:
    serving.sender.available = False
    job = client.post("/v1/jobs", json=COUNT)
    assert job.status_code == 202
    until(lambda: serving.sender.refused)
    until(lambda: client.get("/readyz").json()["broker"] == "unreachable")
    serving.sender.available = True
    until(lambda: serving.sender.sent == [("cpu", job.json()["id"], "count_words")])
    until(lambda: client.get("/readyz").json()["broker"] == "ok")


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"kind": "count_words"}, "spec", "missing"),
        ({"spec": {}}, "kind", "missing"),
        ({"kind": "dance", "spec": {}}, "kind", "unknown_kind"),
        ({**COUNT, "colour": "red"}, "colour", "unknown_field"),
        ({**COUNT, "webhook": {"url": "x"}}, "webhook.url", "value_error"),
        ({"kind": "count_words", "spec": {"text": "x", "txt": "y"}}, "spec.txt", "unknown_field"),
        (
            {"kind": "count_words", "spec": {"text": "x", "limits": {"lowest": 1}}},
            "spec.limits.lowest",
            "unknown_field",
        ),
        ({"kind": "count_words", "spec": {"text": "x", "dataset": "f.csv"}}, "spec.dataset", "not_an_input"),
        ({"kind": "count_words", "spec": {"text": "x", "further": [{"file": 1}]}}, "spec.further.0", "not_an_input"),
        ({**COUNT, "queue": "h2o"}, "queue", "literal_error"),
        ({**COUNT, "priority": 10}, "priority", "less_than_equal"),
        ({**COUNT, "max_attempts": 0}, "max_attempts", "greater_than_equal"),
        ({**COUNT, "time_limit_seconds": 301}, "time_limit_seconds", "less_than_equal"),
        ({**COUNT, "run_at": "2030-01-01T00:00:00"}, "run_at", "timezone_aware"),
        ({**COUNT, "run_at": "0001-01-01T00:00:00+14:00"}, "run_at", "value_error"),
        ({**COUNT, "run_at": "9999-12-31T23:59:59-01:00"}, "run_at", "value_error"),
        ({**COUNT, "after": ["nobody"]}, "after.0", "unknown_job"),
        ({**COUNT, "tags": {'a"b': "c"}}, 'tags.a"b.[key]', "string_pattern_mismatch"),
        ([], "", "invalid"),
    ],
)
def test_what_is_wrong_is_named(shared_client: TestClient, body: object, field: str, code: str) -> None:
    answer = shared_client.post("/v1/jobs", json=body)
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == "invalid_request"
    assert [(error["field"], error["code"]) for error in problem["errors"]] == [(field, code)]


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_json"),
        (b'{"kind": "count_words", "spec": {"ratio": NaN}}', "application/json", 400, "malformed_json"),
        (b'{"kind": "count_words", "spec": {"ratio": 1e400}}', "application/json", 400, "malformed_json"),
        (b'{"kind": "count_words", "spec": {"ratio": -1E+0309}}', "application/json", 400, "malformed_json"),
        (b'{"kind": "count_words", "spec": {"text": "a\\u0000"}}', "application/json", 400, "malformed_json"),
        (b'{"kind": "count_words", "spec": {"text": "a\\\\\\u0000"}}', "application/json", 400, "malformed_json"),
        (b"[" * 100_000, "application/json", 400, "malformed_json"),
        (b"kind=x", "application/x-www-form-urlencoded", 415, "not_json"),
        (b'"' + b"x" * 1_100_000 + b'"', "application/json", 413, "body_too_large"),
    ],
)
def test_bodies_that_are_no_submission(
    shared_client: TestClient, content: bytes, media_type: str, status: int, code: str
) -> None:
    answer = shared_client.post("/v1/jobs", content=content, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_key_stands_for_one_job_however_the_body_is_written(client: TestClient) -> None:
    key = {"Idempotency-Key": "k1", "Content-Type": "application/json"}
    first = client.post("/v1/jobs", json=COUNT, headers=key)
    again = client.post("/v1/jobs", content=json.dumps(COUNT, indent=3, sort_keys=True), headers=key)
    other = client.post("/v1/jobs", json={**COUNT, "priority": 1}, headers=key)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


def test_a_key_belongs_to_its_owner(client: TestClient, serving: Serving) -> None:
    first = client.post("/v1/jobs", json=COUNT, headers={"Idempotency-Key": "k"})
    headers = {"Idempotency-Key": "k", "Authorization": f"Bearer {serving.keys.bob}"}
    second = client.post("/v1/jobs", json=COUNT, headers=headers)
    assert first.json()["id"] != second.json()["id"]


def test_many_retries_at_once_make_one_job(client: TestClient) -> None:
    start = threading.Barrier(6)

    def submit() -> str:
        start.wait()
        answer = client.post("/v1/jobs", json=COUNT, headers={"Idempotency-Key": "race"})
        assert answer.status_code == 202
        return str(answer.json()["id"])

    calls = [Background(submit) for _ in range(6)]
    assert len({call.result() for call in calls}) == 1
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1


def test_a_key_taken_by_another_process_in_between_is_found(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = {**COUNT, "run_at": "2031-02-03T04:05:06Z"}  # written in a transaction of its own
    first = client.post("/v1/jobs", json=later, headers={"Idempotency-Key": "k"}).json()
    looked = 0

    def blind_once(*args: object, **kwargs: object) -> JobRow | None:
        nonlocal looked
        looked += 1
        return None if looked <= 2 else original(*args, **kwargs)  # type: ignore[arg-type]

    import api.submission as submission
    import db.submit

    original = db.submit.earlier_submission
    monkeypatch.setattr(db.submit, "earlier_submission", blind_once)
    monkeypatch.setattr(submission, "earlier_submission", blind_once)
    again = client.post("/v1/jobs", json=later, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()["id"], looked) == (202, first["id"], 3)


def test_prefer_wait_answers_with_the_finished_job(client: TestClient, worker: HandWorker) -> None:
    call = Background(lambda: client.post("/v1/jobs", json=COUNT, headers={"Prefer": "wait=30"}).json())
    until(lambda: client.get("/v1/jobs").json()["jobs"])
    job_id = client.get("/v1/jobs").json()["jobs"][0]["id"]
    worker.succeed(worker.start(job_id), words=2)
    assert call.result()["state"] == "succeeded"  # type: ignore[index]


def test_an_unrecognised_preference_is_ignored(shared_client: TestClient) -> None:
    assert shared_client.post("/v1/jobs", json=COUNT, headers={"Prefer": "wait=soon"}).status_code == 202


def test_bulk_is_all_or_nothing_with_errors_by_index(client: TestClient) -> None:
    bad = client.post("/v1/jobs/bulk", json={"jobs": [COUNT, {"kind": "add_numbers", "spec": {"a": 1}}, COUNT]})
    assert bad.status_code == 422
    assert [error["field"] for error in bad.json()["errors"]] == ["1.spec.b"]
    unknown = client.post("/v1/jobs/bulk", json={"jobs": [COUNT, {**COUNT, "after": ["x"]}]})
    assert [error["field"] for error in unknown.json()["errors"]] == ["1.after.0"]
    assert client.get("/v1/jobs").json()["jobs"] == []
    good = client.post("/v1/jobs/bulk", json={"jobs": [COUNT, {"kind": "add_numbers", "spec": {"a": 1, "b": 2}}]})
    assert good.status_code == 202
    assert [item["index"] for item in good.json()["jobs"]] == [0, 1]
    assert len(client.get("/v1/jobs").json()["jobs"]) == 2


def test_bulk_with_a_key_is_recognised(client: TestClient) -> None:
    body, headers = {"jobs": [COUNT, COUNT]}, {"Idempotency-Key": "many"}
    first = client.post("/v1/jobs/bulk", json=body, headers=headers)
    again = client.post("/v1/jobs/bulk", json=body, headers=headers)
    assert again.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    other = {"jobs": [COUNT, {**COUNT, "priority": 1}]}
    assert client.post("/v1/jobs/bulk", json=other, headers=headers).status_code == 409


def test_an_escaped_backslash_makes_no_nul(shared_client: TestClient) -> None:
    text = r"C:\u0000"
    answer = shared_client.post("/v1/jobs", json={"kind": "count_words", "spec": {"text": text}})
    assert (answer.status_code, answer.json()["spec"]["text"]) == (202, text)


def test_a_bulk_of_millions_of_values_is_never_parsed(
    shared_client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []
    monkeypatch.setattr("api.json_bodies.from_json", lambda body, **_options: parsed.append(body))
    body = b'{"jobs":[' + b"[]," * 2_000_000 + b'"\\u0000"]}'
    answer = shared_client.post("/v1/jobs/bulk", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"], parsed) == (413, "body_too_large", [])


def test_others_are_served_while_a_large_body_is_parsed(
    shared_client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsing, served = threading.Event(), threading.Event()

    def slow(body: bytes, **_options: object) -> object:
        parsing.set()
        assert served.wait(10)
        return json.loads(body)

    monkeypatch.setattr("api.json_bodies.from_json", slow)
    large, is_json = json.dumps(COUNT) + 20_000 * " ", {"Content-Type": "application/json"}
    call = Background(lambda: shared_client.post("/v1/jobs", content=large, headers=is_json).status_code)
    assert parsing.wait(10)
    assert shared_client.get("/healthz").status_code == 200
    served.set()
    assert call.result() == 202


@pytest.mark.parametrize("body", [{}, {"jobs": []}, {"jobs": [COUNT], "more": 1}, [COUNT], {"jobs": [COUNT] * 10_001}])
def test_bulk_bodies_that_are_none(shared_client: TestClient, body: object) -> None:
    assert shared_client.post("/v1/jobs/bulk", json=body).status_code == 422


def test_a_job_that_waits_says_for_what(client: TestClient, serving: Serving, worker: HandWorker) -> None:
    first = client.post("/v1/jobs", json=COUNT).json()["id"]
    second = client.post("/v1/jobs", json=COUNT).json()
    after = client.post("/v1/jobs", json={**COUNT, "after": [first]}).json()
    later = client.post("/v1/jobs", json={**COUNT, "run_at": "2031-02-03T04:05:06+01:00"}).json()
    assert second["waiting_for"] == "1 job ahead"
    assert (after["state"], after["waiting_for"]) == ("waiting", f"waits for job {first}")
    assert (later["waiting_for"], later["run_at"]) == ("waits until 2031-02-03T03:05:06Z", "2031-02-03T03:05:06Z")
    worker.start(first)
    assert client.get(f"/v1/jobs/{second['id']}").json()["waiting_for"] == "next in queue `cpu`"
    running = client.get(f"/v1/jobs/{first}").json()
    assert (running["waiting_for"], running["worker"], running["attempt"]) == (None, "cpu@here", 1)


def test_an_outage_of_the_database_is_said_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    def broken(_self: Database) -> object:
        raise OperationalError("SELECT secret", {}, Exception("/var/lib/secret"))

    monkeypatch.setattr(Database, "read", broken)
    answer = client.post("/v1/jobs", json=COUNT)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert "secret" not in answer.text
