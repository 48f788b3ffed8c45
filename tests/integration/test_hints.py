from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from api.waiting import Waits
from db.bulk import submit_all
from db.claims import Claimant, Token, claim
from db.cleanup import take_cleanup
from db.due import settle_waiting
from db.engine import Database
from db.finish import fail
from db.hints import clear_stale_marks, count_marks, next_hints, unmark
from db.leases import end_left_behind, expire_lapsed, renew
from db.retention import forget_jobs
from db.rows import JobRow
from db.states import Reason
from db.stops import enforce_deadlines, requests_of
from db.submit import NewJob
from db.workers import register, stopped
from tests.integration.conftest import make_owner
from tests.integration.rows import shift


def hinted(database: Database) -> list[str]:
    with database.write() as session:
        return [hint.job_id for hint in next_hints(session, "cpu")]


def start(database: Database, *job_ids: str) -> list[Token]:
    with database.write() as session:
        return [Token(job.id, job.attempt) for job in claim(session, job_ids, Claimant("w", "w"))]


def order(database: Database) -> list[str]:
    """The queued jobs in the order in which they would run."""
    with database.read() as session:
        rows = session.query(JobRow).filter_by(queue="cpu", state="queued")
        return [row.id for row in rows.order_by(JobRow.precedence, JobRow.fair_tag, JobRow.id)]


@pytest.fixture
def bob(database: Database) -> str:
    """Another owner's id."""
    return make_owner(database, "bob")


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


def test_an_owner_with_many_jobs_does_not_crowd_out_another(
    database: Database, submitted: Callable[..., str], bob: str
) -> None:
    mine = [submitted() for _ in range(3)]
    his = submitted(owner_id=bob)
    assert order(database) == [mine[0], his, *mine[1:]]


def test_an_owner_who_was_idle_has_saved_up_no_turns(
    database: Database, submitted: Callable[..., str], bob: str
) -> None:
    start(database, *[submitted() for _ in range(50)])
    mine = [submitted() for _ in range(2)]
    his = [submitted(owner_id=bob) for _ in range(4)]
    assert order(database) == [his[0], mine[0], his[1], mine[1], *his[2:]]


def test_a_low_priority_job_that_starves_gives_nobody_else_turns(
    database: Database, submitted: Callable[..., str], bob: str
) -> None:
    starving = submitted(priority=0)
    for _ in range(50):
        start(database, submitted(priority=9))
    mine = [submitted(priority=9) for _ in range(2)]
    his = [submitted(priority=9, owner_id=bob) for _ in range(3)]
    assert order(database) == [his[0], mine[0], his[1], mine[1], his[2], starving]


def test_work_of_high_priority_puts_its_owner_s_other_jobs_behind_nobody(
    database: Database, submitted: Callable[..., str], bob: str
) -> None:
    theirs = [submitted(priority=1, owner_id=bob) for _ in range(3)]
    for _ in range(50):
        start(database, submitted(priority=9))
    mine = [submitted(priority=1) for _ in range(2)]
    assert order(database) == [theirs[0], mine[0], theirs[1], mine[1], theirs[2]]


def test_a_retry_does_not_turn_time_back(database: Database, submitted: Callable[..., str], bob: str) -> None:
    (first, *_others) = start(database, *[submitted() for _ in range(50)])
    with database.write() as session:
        fail(session, first, reason=Reason.UPSTREAM_ERROR, message="", retryable=True, metrics={})
    shift(database, first.job_id, run_at=-1)
    with database.write() as session:
        settle_waiting(session)
    mine = submitted()
    his = [submitted(owner_id=bob) for _ in range(3)]
    assert order(database) == [first.job_id, his[0], mine, *his[1:]]


def test_jobs_that_waited_have_saved_up_no_turns(database: Database, submitted: Callable[..., str], bob: str) -> None:
    first = submitted()
    waited = [submitted(after=[first]) for _ in range(3)]
    start(database, first, *[submitted(owner_id=bob) for _ in range(50)])
    for job_id in waited:
        shift(database, job_id, run_at=-1)
    with database.write() as session:
        session.get_one(JobRow, first).state = "succeeded"
        session.flush()
        settle_waiting(session)
    his = [submitted(owner_id=bob) for _ in range(2)]
    assert order(database) == [waited[0], waited[1], his[0], waited[2], his[1]]


def test_jobs_of_one_submission_take_their_turns_too(
    database: Database, submitted: Callable[..., str], owner_id: str, bob: str
) -> None:
    def many(owner: str, *priorities: int) -> list[str]:
        news = [NewJob(owner, "check_worker", "cpu", {}, 1, priority=priority) for priority in priorities]
        with database.write() as session:
            return [job.job_id for job in submit_all(session, owner, news)]

    start(database, *many(owner_id, *[4] * 50))
    urgent, *mine = many(owner_id, 9, 4, 4)
    his = many(bob, 4, 4, 4)
    assert order(database) == [urgent, his[0], mine[0], his[1], mine[1], his[2]]


def test_jobs_that_no_live_worker_can_run_hold_up_nobody(
    database: Database, submitted: Callable[..., str], claimant: Claimant
) -> None:
    strange = [submitted(kind="of_a_plugin", priority=9) for _ in range(5)]
    plain = submitted()
    assert hinted(database) == [plain]
    with database.write() as session:
        plugin = register(session, name="c", hostname="", pid=2, queue="cpu", slots=1, kinds=["of_a_plugin"])
    assert hinted(database) == strange[:3]
    with database.write() as session:
        stopped(session, plugin)
    more = submitted()
    assert hinted(database) == [more]


def test_without_a_live_worker_any_kind_is_hinted(database: Database, submitted: Callable[..., str]) -> None:
    job_id = submitted(kind="of_a_plugin")
    assert hinted(database) == [job_id]


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


def test_chores_of_every_second_do_not_go_through_the_backlog(sqlite_database: Database) -> None:
    plans: list[str] = []

    def explain(_connection: object, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "WITH")):
            rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            plans.extend(row[3] for row in rows if " jobs " in row[3])

    event.listen(sqlite_database.writing_engine, "before_cursor_execute", explain)
    with sqlite_database.write() as session:
        count_marks(session, "cpu", older_than=timedelta(0))
        next_hints(session, "cpu")
        enforce_deadlines(session)
        take_cleanup(session, "cpu")
        renew(session, "a worker", [Token("a job", 1), Token("another", 1)])
        requests_of(session, [Token("a job", 1), Token("another", 1)])
        expire_lapsed(session)
        end_left_behind(session, "a worker", "here")
    taken = [plan.split(" INDEX ")[-1].split(" (")[0] for plan in plans]
    hinted, counted, marked, best, *overdue, cleanup, renewed, held, asked, lapsed, left = taken
    assert (hinted, counted, best) == ("ix_jobs_hinted", "ix_jobs_hinted", "ix_jobs_order")
    # Its primary key.
    assert {marked, renewed, held, asked} == {"sqlite_autoindex_jobs_1"}
    assert all(plan.startswith("SEARCH") for plan in plans), plans
    assert set(overdue) == {"ix_jobs_deadline"}
    assert (cleanup, lapsed, left) == ("ix_jobs_cleanup", "ix_jobs_lease", "ix_jobs_lease")
    plans.clear()
    with sqlite_database.write() as session:
        settle_waiting(session)
        forget_jobs(session, timedelta(0))
    assert {"ix_jobs_due", "ix_jobs_finished"} <= {plan.split(" INDEX ")[-1].split(" (")[0] for plan in plans}
    assert not [plan for plan in plans if plan.startswith("SCAN jobs") and "INDEX" not in plan]


def test_what_a_queued_job_waits_for_names_a_kind_that_nobody_takes(
    database: Database, submitted: Callable[..., str], claimant: Claimant
) -> None:
    strange, plain = submitted(kind="of_a_plugin"), submitted()
    with database.read() as session:
        words = [Waits(session).in_words(session.get_one(JobRow, job_id)) for job_id in (strange, plain)]
    assert words == ["no live worker for queue `cpu` takes kind `of_a_plugin`", "1 job ahead"]
