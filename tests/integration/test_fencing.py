"""A worker that comes back after its job was given away can write nothing at all."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from db import attempt_writes, engine, finish
from db.claims import Claimant, Fenced, Token, claim
from db.engine import Database
from db.events import NewEvent
from db.leases import expire_lapsed, renew
from db.rows import JobRow
from db.states import EventType, Reason
from db.submit import NewJob, submit
from tests.integration.conftest import make_owner
from tests.integration.rows import event_types, job_row, shift, story
from tests.waiting import until

Write = Callable[[Session, Token], object]

WRITES: dict[str, Write] = {
    "event": lambda s, t: attempt_writes.record(s, t, [NewEvent(EventType.LOG, {"message": "late"})]),
    "progress": lambda s, t: attempt_writes.record(s, t, [], attempt_writes.Progress(0.9, "late", None)),
    "checkpoint": lambda s, t: attempt_writes.save_checkpoint(s, t, {"late": True}, cleanup_needed=True),
    "leaderboard": lambda s, t: attempt_writes.replace_leaderboard(
        s, t, attempt_writes.Board(1, "auc", True, [("late", "GBM", {"auc": 1.0})])
    ),
    "artifact": lambda s, t: attempt_writes.add_artifact(
        s, t, attempt_writes.NewArtifact("late.png", "image/png", 1, "0" * 64, "jobs/late")
    ),
    "success": lambda s, t: finish.succeed(s, t, {"late": True}, {}),
    "failure": lambda s, t: finish.fail(
        s, t, reason=Reason.INTERNAL_ERROR, message="late", retryable=True, metrics={}, retry_after=timedelta(0)
    ),
    "loss": lambda s, t: finish.lose(s, t, cause="late"),
    "hand-back": lambda s, t: finish.hand_back(s, t),
    "cancel": lambda s, t: finish.end_cancelled(s, t, {}),
}


@pytest.fixture
def zombie(database: Database, started: Callable[..., Token], claimant: Claimant) -> Token:
    """The token of an attempt whose job another worker has by now."""
    token = started()
    shift(database, token.job_id, lease_expires_at=-1)
    with database.write() as session:
        assert expire_lapsed(session) == [token]
    with database.write() as session:
        (job,) = claim(session, [token.job_id], Claimant("other", "other"))
    assert job.attempt == token.attempt + 1
    return token


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_zombie_is_refused(database: Database, zombie: Token, write: Write) -> None:
    before, events = job_row(database, zombie.job_id), event_types(database, zombie.job_id)
    with pytest.raises(Fenced), database.write() as session:
        write(session, zombie)
    after = job_row(database, zombie.job_id)
    columns = before.__table__.columns.keys()
    assert {name: getattr(after, name) for name in columns} == {name: getattr(before, name) for name in columns}
    assert event_types(database, zombie.job_id) == events
    assert story(database, zombie.job_id) == [(1, "lost", "worker_lost"), (2, "running", None)]


@pytest.mark.parametrize("write", [write for name, write in WRITES.items() if name != "cancel"])
def test_the_running_attempt_is_not(database: Database, started: Callable[..., Token], write: Write) -> None:
    with database.write() as session:
        write(session, started())


def test_a_zombie_can_not_renew(database: Database, zombie: Token, claimant: Claimant) -> None:
    with database.write() as session:
        assert renew(session, claimant.worker_id, [zombie]) == {}


def test_a_worker_that_freezes_in_a_transaction_locks_the_job_for_a_while_only(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine._POSTGRES_TIMEOUTS_MS, "idle_in_transaction_session_timeout", 300)
    owner = make_owner(postgres_database, "ada")
    with postgres_database.write() as session:
        job_id = submit(session, NewJob(owner, "check_worker", "cpu", {}, 1)).id
    frozen = Database(postgres_database.writing_engine.url)

    def freeze() -> None:
        with frozen.write() as session:
            claim(session, [job_id], Claimant("frozen", "frozen"))
            until(lambda: claims(postgres_database, job_id), 10, what="the job to be free")

    with pytest.raises(OperationalError):
        freeze()
    with frozen.read() as session:
        assert session.get_one(JobRow, job_id).worker_id == "other"
    frozen.dispose()


def claims(database: Database, job_id: str) -> list[str]:
    with database.write() as session:
        return [job.id for job in claim(session, [job_id], Claimant("other", "other"))]


def test_a_finished_attempt_writes_nothing_more(database: Database, started: Callable[..., Token]) -> None:
    token = started()
    with database.write() as session:
        finish.succeed(session, token, {}, {})
    for write in WRITES.values():
        with pytest.raises(Fenced), database.write() as session:
            write(session, token)
