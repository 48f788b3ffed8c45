from collections.abc import Callable
from datetime import timedelta

from db import owners
from db.claims import Claimant, claim
from db.engine import Database
from db.hints import clear_stale_marks, next_hints, unmark
from db.submit import NewJob, submit
from tests.integration.rows import shift


def hinted(database: Database) -> list[str]:
    with database.write() as session:
        return [hint.job_id for hint in next_hints(session, "cpu")]


def test_order_is_priority_then_age(database: Database, submitted: Callable[..., str]) -> None:
    low, first, second, high = submitted(priority=1), submitted(), submitted(), submitted(priority=9)
    assert hinted(database) == [high, first, second, low]


def test_a_window_is_not_overfilled(database: Database, submitted: Callable[..., str], claimant: Claimant) -> None:
    jobs = [submitted() for _ in range(5)]
    assert hinted(database) == jobs[:2]
    assert hinted(database) == []
    with database.write() as session:
        claim(session, jobs[:1], claimant)
    assert hinted(database) == jobs[2:3]


def test_an_owner_with_many_jobs_does_not_crowd_out_another(database: Database, submitted: Callable[..., str]) -> None:
    mine = [submitted() for _ in range(3)]
    with database.write() as session:
        holder = owners.holder_of(session, owners.make_key(session, owner="bob", name="first"))
        assert holder is not None
        his = submit(
            session, NewJob(owner_id=holder.owner_id, kind="check_worker", queue="cpu", spec={}, max_attempts=1)
        ).id
    assert hinted(database) == [mine[0], his, *mine[1:]]


def test_an_owner_who_was_idle_has_saved_up_no_turns(database: Database, submitted: Callable[..., str]) -> None:
    served = [submitted() for _ in range(3)]
    with database.write() as session:
        claim(session, served, Claimant("w", "w"))
    with database.write() as session:
        holder = owners.holder_of(session, owners.make_key(session, owner="bob", name="first"))
        assert holder is not None
        new = NewJob(owner_id=holder.owner_id, kind="check_worker", queue="cpu", spec={}, max_attempts=1)
        his = [submit(session, new).id for _ in range(2)]
    mine = submitted()
    assert hinted(database) == [his[0], his[1], mine]


def test_hints_that_were_not_sent_come_again(database: Database, submitted: Callable[..., str]) -> None:
    job_id = submitted()
    assert hinted(database) == [job_id]
    with database.write() as session:
        unmark(session, [job_id])
    assert hinted(database) == [job_id]


def test_only_old_marks_are_stale(database: Database, submitted: Callable[..., str]) -> None:
    old, young = submitted(), submitted()
    assert hinted(database) == [old, young]
    shift(database, old, hinted_at=-10)
    with database.write() as session:
        assert clear_stale_marks(session, "cpu", older_than=timedelta(seconds=2)) == 1
    assert hinted(database) == [old]
