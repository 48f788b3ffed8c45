"""Submissions that come at once are committed together, and each gets the answer that it would get alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

import api.committer
import db.group
from db.bulk import Accepted
from db.group import Outcome, Queued, Submission, submit_group
from db.owners import key_sha256
from db.rows import ApiKeyRow
from db.submit import NewJob
from tests.unit.api.serving import Background, Serving
from tests.waiting import until

COUNT = {"kind": "count_words", "spec": {"text": "a b"}}


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many submissions were written together each time."""
    sizes: list[int] = []

    def counting(session: Session, submissions: Sequence[Submission], count_up_to: int) -> list[Outcome]:
        sizes.append(len(submissions))
        return submit_group(session, submissions, count_up_to)

    monkeypatch.setattr(api.committer, "submit_group", counting)
    return sizes


@pytest.fixture
def together(client: TestClient, serving: Serving, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Response]]:
    """Sends each body, with its key, so that all of them but perhaps the first go into one group."""
    waiting: list[object] = []
    original = api.committer.Committer.submit

    async def noted(self: api.committer.Committer, *arguments: object) -> object:
        waiting.append(arguments)
        return await original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(api.committer.Committer, "submit", noted)

    def send(*submissions: tuple[dict[str, object], str | None]) -> list[Response]:
        # What is remembered of the key spares the looks at a database that is about to be held.
        assert client.post("/v1/jobs", json=COUNT).status_code == 202
        waiting.clear()
        with ExitStack() as stack:
            stack.enter_context(serving.services.database.write()).connection()
            calls = []
            for body, key in submissions:
                headers = {} if key is None else {"Idempotency-Key": key}
                calls.append(Background(lambda b=body, h=headers: client.post("/v1/jobs", json=b, headers=h)))
                until(lambda: len(waiting) == len(calls), what="a submission that waits")
        return [call.result() for call in calls]  # type: ignore[misc]

    return send


def test_what_waits_is_committed_together(together: Callable[..., list[Response]], groups: list[int]) -> None:
    answers = together(*[(COUNT, None)] * 6)
    assert [answer.status_code for answer in answers] == [202] * 6
    assert len({answer.json()["id"] for answer in answers}) == 6
    assert groups in ([1, 1, 5], [1, 6])
    ahead = sorted(answer.json()["waiting_for"] for answer in answers)
    assert ahead == sorted(f"no live worker for queue `cpu`; {n} job{'s' if n > 1 else ''} ahead" for n in range(1, 7))


def test_who_waits_for_the_end_has_nothing_counted(serving: Serving) -> None:
    holder = serving.services.known_keys.look_up(serving.services.database, serving.keys.ann)
    new = NewJob(owner_id=holder.owner_id, kind="count_words", queue="cpu", spec={}, max_attempts=1)
    with serving.services.database.write() as session:
        outcomes = submit_group(session, [Submission(new), Submission(new, counts=False), Submission(new)], 10)
    assert [outcome.ahead for outcome in outcomes if isinstance(outcome, Queued)] == [0, None, 2]


def test_who_has_waited_in_vain_is_told_what_the_job_waits_for(client: TestClient) -> None:
    first, second = (client.post("/v1/jobs", json=COUNT, headers={"Prefer": "wait=1"}).json() for _ in range(2))
    assert first["waiting_for"] == "no live worker for queue `cpu`"
    assert second["waiting_for"] == "no live worker for queue `cpu`; 1 job ahead"


def test_the_answer_is_what_a_later_look_shows(client: TestClient) -> None:
    body = {**COUNT, "priority": 7, "max_attempts": 2, "tags": {"a": "b"}, "time_limit_seconds": 5}
    answer = client.post("/v1/jobs", json=body)
    assert answer.json() == client.get(answer.headers["location"]).json()
    assert answer.headers["content-type"] == "application/json"


def test_one_that_breaks_spoils_no_other(
    together: Callable[..., list[Response]], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = db.group.write_jobs

    def refusing(session: Session, fresh: Sequence[tuple[int, NewJob]], *rest: object) -> dict[int, Accepted]:
        if any("bad" in new.tags for _index, new in fresh):
            raise ValueError("a value that no database takes")
        return original(session, fresh, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(db.group, "write_jobs", refusing)
    bad = {**COUNT, "tags": {"bad": "yes"}}
    answers = together((COUNT, None), (COUNT, "k"), (bad, None), (COUNT, None))
    assert [answer.status_code for answer in answers] == [202, 202, 500, 202]
    assert answers[2].json()["code"] == "internal_error"


def test_one_key_twice_in_a_group(together: Callable[..., list[Response]]) -> None:
    other = {**COUNT, "priority": 1}
    _first, mine, again, conflict = together((COUNT, None), (COUNT, "k"), (COUNT, "k"), (other, "k"))
    assert (again.status_code, again.json()["id"]) == (202, mine.json()["id"])
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in mine.headers
    assert (conflict.status_code, conflict.json()["code"]) == (409, "idempotency_key_reused")


@pytest.mark.parametrize("blind_times", [1, 3])
def test_a_key_taken_elsewhere_in_between_spoils_no_other(
    together: Callable[..., list[Response]], client: TestClient, monkeypatch: pytest.MonkeyPatch, blind_times: int
) -> None:
    first = client.post("/v1/jobs", json=COUNT, headers={"Idempotency-Key": "k"}).json()
    original, looks = db.group._with_known, []

    def blind(session: Session, submissions: Sequence[Submission]) -> Iterator[object]:
        """As if another process had not committed the key yet."""
        for submission, (owned, known) in zip(submissions, original(session, submissions), strict=True):
            hidden = submission.key is not None and submission.key.key == "k" and len(looks) < blind_times
            if hidden:
                looks.append(1)
            yield (owned, None) if hidden else (owned, known)

    monkeypatch.setattr(db.group, "_with_known", blind)
    answers = together((COUNT, None), (COUNT, "k"), (COUNT, "other"), (COUNT, None))
    assert [answer.status_code for answer in answers] == [202] * 4
    assert answers[1].json()["id"] == first["id"]
    assert len(looks) == blind_times
    assert len({answer.json()["id"] for answer in answers}) == 4


def test_a_retry_after_a_lost_answer_finds_the_job(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(answers: Sequence[tuple[object, object]]) -> None:
        """As a process does that dies after the commit."""
        for request, _answer in answers:
            request.answer.set_exception(RuntimeError("the process died"))  # type: ignore[attr-defined]

    with monkeypatch.context() as dying:
        dying.setattr(api.committer, "_settle", lose)
        assert client.post("/v1/jobs", json=COUNT, headers={"Idempotency-Key": "k"}).status_code == 500
    (job,) = client.get("/v1/jobs").json()["jobs"]
    again = client.post("/v1/jobs", json=COUNT, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()["id"], again.headers["idempotent-replayed"]) == (202, job["id"], "true")
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1


def test_a_database_that_is_away_is_told_to_all_and_found_again(
    together: Callable[..., list[Response]], client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_arguments: object) -> list[Outcome]:
        raise OperationalError("INSERT", None, Exception("gone"))

    assert client.post("/v1/jobs", json=COUNT).status_code == 202
    with monkeypatch.context() as outage:
        outage.setattr(api.committer, "submit_group", away)
        answer = client.post("/v1/jobs", json=COUNT)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert [answer.status_code for answer in together((COUNT, None), (COUNT, None))] == [202, 202]


@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_that_nobody_heard_the_end_of(
    client: TestClient, serving: Serving, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    database = serving.services.database
    original = database.write

    @contextmanager
    def broken() -> Iterator[Session]:
        """As a connection does that goes just after the commit, or just before."""
        with original() as session:
            yield session
            if not committed:
                raise OperationalError("COMMIT", None, Exception("gone"))
        raise OperationalError("COMMIT", None, Exception("gone"))

    with monkeypatch.context() as breaking:
        breaking.setattr(database, "write", broken)
        answer = client.post("/v1/jobs", json=COUNT)
    jobs = client.get("/v1/jobs").json()["jobs"]
    assert answer.status_code == (202 if committed else 503)
    assert [job["id"] for job in jobs] == ([answer.json()["id"]] if committed else [])


def test_a_key_that_was_revoked_a_moment_ago_submits_nothing(client: TestClient, serving: Serving) -> None:
    assert client.post("/v1/jobs", json=COUNT).status_code == 202
    revoked = ApiKeyRow.key_sha256 == key_sha256(serving.keys.ann)
    with serving.services.database.write() as session:
        session.execute(update(ApiKeyRow).where(revoked).values(revoked_at=ApiKeyRow.created_at))
    answer = client.post("/v1/jobs", json=COUNT)
    assert (answer.status_code, answer.json()["code"]) == (401, "key_unknown")
    apart = client.post("/v1/jobs", json={**COUNT, "run_at": "2031-02-03T04:05:06Z"})
    assert (apart.status_code, apart.json()["code"]) == (401, "key_unknown")
    headers = {"Authorization": f"Bearer {serving.keys.admin}"}
    assert len(client.get("/v1/jobs", headers=headers).json()["jobs"]) == 1
