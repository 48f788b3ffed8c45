"""A new job from one that did not succeed."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, select, update

from db.attempt_writes import save_checkpoint
from db.rows import FileRow, JobFileRow, JobRow
from tests.unit.api.serving import HandWorker, Serving
from tests.waiting import until

COUNT = {"kind": "count_words", "spec": {"text": "one two"}}


def submitted(client: TestClient, **more: object) -> str:
    answer = client.post("/v1/jobs", json={**COUNT, **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def failed(client: TestClient, worker: HandWorker, **more: object) -> str:
    job_id = submitted(client, **more)
    worker.fail(worker.start(job_id), "It broke.")
    return job_id


def retry(client: TestClient, job_id: str, **headers: str) -> Any:
    return client.post(f"/v1/jobs/{job_id}/retry", headers=headers)


def row_of(serving: Serving, job_id: str) -> JobRow:
    with serving.services.database.read() as session:
        return session.get_one(JobRow, job_id)


def set_columns(serving: Serving, job_id: str, **values: object) -> None:
    with serving.services.database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job_id).values(**values))


def upload(client: TestClient) -> str:
    return str(client.post("/v1/files", files={"file": ("a.txt", b"three")}).json()["id"])


def test_a_retry_is_a_new_job_of_the_same_kind(client: TestClient, serving: Serving, worker: HandWorker) -> None:
    said = {"priority": 7, "tags": {"team": "red"}, "max_attempts": 2, "queue": "cpu", "time_limit_seconds": 60}
    old_id = failed(client, worker, **said)
    answer = retry(client, old_id)
    job = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/jobs/{job['id']}")
    assert job["id"] != old_id
    assert (job["retry_of"], job["state"], job["attempt"], job["error"]) == (old_id, "queued", 0, None)
    old = client.get(f"/v1/jobs/{old_id}").json()
    assert (old["state"], old["retry_of"]) == ("failed", None)
    for name in ("kind", "queue", "spec", "priority", "tags", "max_attempts"):
        assert job[name] == old[name], name
    assert row_of(serving, job["id"]).time_limit_seconds == 60
    until(lambda: ("cpu", job["id"], "count_words") in serving.sender.sent)
    events = client.get(f"/v1/jobs/{job['id']}/events?format=json").json()["events"]
    assert [event["data"]["state"] for event in events] == ["queued"]


def test_a_cancelled_job_can_be_retried_and_a_retry_too(client: TestClient, worker: HandWorker) -> None:
    first = submitted(client)
    client.post(f"/v1/jobs/{first}/cancel")
    second = retry(client, first).json()["id"]
    worker.fail(worker.start(second), "It broke.")
    assert retry(client, second).json()["retry_of"] == second


@pytest.mark.parametrize("state", ["waiting", "queued", "running", "succeeded"])
def test_a_job_that_has_not_failed_is_not_retried(client: TestClient, worker: HandWorker, state: str) -> None:
    first = submitted(client)
    job_id = submitted(client, after=[first]) if state == "waiting" else first
    if state in ("running", "succeeded"):
        token = worker.start(job_id)
        if state == "succeeded":
            worker.succeed(token, words=2)
    answer = retry(client, job_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_retryable")
    assert f"is {state};" in answer.json()["detail"]


def test_a_retry_has_as_much_time_as_the_job_had(client: TestClient, serving: Serving) -> None:
    job_id = submitted(client, deadline_seconds=3600, run_at="2031-02-03T04:05:06Z")
    client.post(f"/v1/jobs/{job_id}/cancel")
    set_columns(serving, job_id, created_at=datetime.fromisoformat("2026-01-01T00:00:00Z"))
    set_columns(serving, job_id, deadline_at=datetime.fromisoformat("2026-01-01T01:00:00Z"))
    again = row_of(serving, retry(client, job_id).json()["id"])
    assert again.deadline_at is not None
    assert abs(again.deadline_at - again.created_at - timedelta(hours=1)) < timedelta(seconds=1)
    assert (again.run_at, again.state) == (None, "queued")


def test_only_a_portable_checkpoint_goes_to_a_retry(client: TestClient, serving: Serving, worker: HandWorker) -> None:
    """Any other names what belongs to the old job: a retry must neither go on with that nor have it removed."""
    kinds = serving.services.kinds
    for portable, expected in ((False, None), (True, {"step": 3})):
        kinds["count_words"] = replace(kinds["count_words"], portable_checkpoint=portable)  # type: ignore[index]
        job_id = submitted(client)
        token = worker.start(job_id)
        with serving.services.database.write() as session:
            save_checkpoint(session, token, {"step": 3}, cleanup_needed=not portable)
        worker.fail(token, "It broke.")
        again = row_of(serving, retry(client, job_id).json()["id"])
        assert (again.checkpoint, again.cleanup_needed) == (expected, False)
        # What is to be freed stays with the job that left it.
        assert row_of(serving, job_id).cleanup_needed is not portable


def test_a_refusal_tells_the_jobs_state(client: TestClient, worker: HandWorker) -> None:
    job_id = submitted(client)
    assert retry(client, job_id).json()["state"] == "queued"
    worker.fail(worker.start(job_id), "It broke.")
    for how in ("cancel", "stop"):
        answer = client.post(f"/v1/jobs/{job_id}/{how}")
        assert (answer.status_code, answer.json()["state"]) == (409, "failed"), how
    assert "state" not in client.get("/v1/jobs/nobody").json()


def test_a_file_that_goes_while_it_is_looked_at(
    client: TestClient, worker: HandWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = upload(client)
    old = failed(client, worker, spec={"text": "x", "dataset": {"file": file_id}})
    client.delete(f"/v1/files/{file_id}")
    # As if the deletion had committed just after the look.
    monkeypatch.setattr("api.retrying.missing_inputs", lambda *_: [])
    answer = retry(client, old)
    assert (answer.status_code, answer.json()["code"], answer.json()["state"]) == (409, "inputs_missing", "failed")
    assert file_id in answer.json()["detail"]


def test_a_retry_holds_its_files(client: TestClient, serving: Serving, worker: HandWorker) -> None:
    file_id = upload(client)
    old = failed(client, worker, spec={"text": "x", "dataset": {"file": file_id}})
    again = retry(client, old).json()["id"]
    with serving.services.database.read() as session:
        assert session.scalars(select(JobFileRow.file_id).where(JobFileRow.job_id == again)).all() == [file_id]
    assert client.delete(f"/v1/files/{file_id}").status_code == 409


def test_data_that_is_gone_is_named(client: TestClient, worker: HandWorker) -> None:
    file_id = upload(client)
    old = failed(client, worker, spec={"text": "x", "dataset": {"file": file_id}})
    assert client.delete(f"/v1/files/{file_id}").status_code == 204
    answer = retry(client, old)
    assert (answer.status_code, answer.json()["code"]) == (409, "inputs_missing")
    assert f"spec.dataset: There is no file '{file_id}'." in answer.json()["detail"]


def test_a_retry_waits_for_what_the_job_waited_for(client: TestClient, worker: HandWorker) -> None:
    first = submitted(client)
    after = submitted(client, after=[first])
    client.post(f"/v1/jobs/{after}/cancel")
    again = retry(client, after).json()
    assert (again["state"], again["after"]) == ("waiting", [first])
    worker.fail(worker.start(first), "It broke.")
    client.post(f"/v1/jobs/{again['id']}/cancel")
    hopeless = retry(client, again["id"])
    assert (hopeless.status_code, hopeless.json()["code"]) == (409, "dependency_failed")
    assert first in hopeless.json()["detail"]


@pytest.mark.parametrize(
    ("columns", "code", "said"),
    [
        ({"kind": "dance"}, "unknown_kind", "'dance'"),
        ({"spec": {"text": "x", "colour": "red"}}, "spec_outdated", "(colour)"),
        ({"queue": "h2o"}, "spec_outdated", "'h2o'"),
    ],
)
def test_a_job_of_another_time(
    client: TestClient, serving: Serving, worker: HandWorker, columns: dict[str, object], code: str, said: str
) -> None:
    old = failed(client, worker)
    set_columns(serving, old, **columns)
    answer = retry(client, old)
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert said in answer.json()["detail"]


def test_a_key_stands_for_one_retry(client: TestClient, serving: Serving, worker: HandWorker) -> None:
    file_id = upload(client)
    old = failed(client, worker, spec={"text": "x", "dataset": {"file": file_id}})
    key = {"Idempotency-Key": "k"}
    first = retry(client, old, **key)
    with serving.services.database.write() as session:
        session.execute(delete(FileRow))
    again = retry(client, old, **key)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")
    assert retry(client, failed(client, worker), **key).json()["code"] == "idempotency_key_reused"
    assert client.post("/v1/jobs", json=COUNT, headers=key).json()["code"] == "idempotency_key_reused"


def test_others_jobs_are_not_there_but_an_admin_retries_them_for_their_owner(
    client: TestClient, serving: Serving, worker: HandWorker
) -> None:
    old = failed(client, worker)
    assert retry(client, old, Authorization=f"Bearer {serving.keys.bob}").status_code == 404
    assert retry(client, "nobody").status_code == 404
    again = retry(client, old, Authorization=f"Bearer {serving.keys.admin}").json()["id"]
    assert row_of(serving, again).owner_id == row_of(serving, old).owner_id
    assert client.get(f"/v1/jobs/{again}").status_code == 200
