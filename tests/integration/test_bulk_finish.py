"""Several results in one transaction say the same as each in its own."""

from collections.abc import Callable

from db.attempt_writes import Progress
from db.bulk_finish import Success, succeed_all
from db.claims import Token
from db.engine import Database
from db.events import NewEvent
from db.finish import fail, succeed
from db.rows import JobRow
from db.states import EventType, Reason, State, StopRequest
from tests.integration.rows import ask, event_types, job_row, story

Started = Callable[..., Token]


def all_of(database: Database, *tokens: Token) -> dict[Token, State]:
    successes = [Success(token, {"n": n}, {"run_seconds": 0.5}) for n, token in enumerate(tokens)]
    with database.write() as session:
        return dict(succeed_all(session, successes))


def test_together_is_as_alone(database: Database, started: Started) -> None:
    alone, *together = (started() for _ in range(4))
    with database.write() as session:
        succeed(session, alone, {"n": 0}, {"run_seconds": 0.5})
    assert all_of(database, *together) == dict.fromkeys(together, State.SUCCEEDED)
    pattern = job_row(database, alone.job_id)
    varying = {"id", "attempt", "result", "fair_tag", "created_at", "queued_at", "started_at", "finished_at"}
    for number, token in enumerate(together):
        job = job_row(database, token.job_id)
        assert job.result == {"n": number}
        assert job.finished_at is not None
        for column in set(JobRow.__table__.columns.keys()) - varying:
            assert getattr(job, column) == getattr(pattern, column), column
        assert story(database, token.job_id) == story(database, alone.job_id)
        assert event_types(database, token.job_id) == event_types(database, alone.job_id)


def test_each_meets_its_own_end(database: Database, started: Started) -> None:
    plain, cancelled, stopped, given_away, failed = (started() for _ in range(5))
    ask(database, cancelled.job_id, StopRequest.CANCEL)
    ask(database, stopped.job_id, StopRequest.STOP)
    with database.write() as session:
        fail(session, failed, reason=Reason.INVALID_INPUT, message="no", retryable=False, metrics={})
    old = Token(given_away.job_id, given_away.attempt - 1)
    ended = all_of(database, plain, cancelled, stopped, old, failed, Token("no-such-job", 1))
    assert ended == {plain: State.SUCCEEDED, cancelled: State.CANCELLED, stopped: State.SUCCEEDED}
    assert job_row(database, cancelled.job_id).result is None
    assert job_row(database, stopped.job_id).reason == Reason.STOPPED_BY_USER
    assert (job_row(database, failed.job_id).state, job_row(database, failed.job_id).result) == (State.FAILED, None)
    assert job_row(database, given_away.job_id).state == State.RUNNING


def test_what_was_reported_is_written_ahead(database: Database, started: Started) -> None:
    one, other = started(), started()
    ask(database, other.job_id, StopRequest.CANCEL)
    line = NewEvent(EventType.LOG, {"level": "info", "message": "last words"})
    with database.write() as session:
        succeed_all(session, [Success(t, {}, {}, [line, line], Progress(0.5, "half", 1.0)) for t in (one, other)])
    assert event_types(database, one.job_id)[-4:] == ["log", "log", "state", "final"]
    assert event_types(database, other.job_id)[-4:] == ["log", "log", "state", "final"]
    job = job_row(database, one.job_id)
    assert (job.progress_fraction, job.progress_message, job.progress_eta_seconds) == (1.0, "half", 0.0)
