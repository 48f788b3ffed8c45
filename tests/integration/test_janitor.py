"""After an outage of the database every lease has lapsed although the jobs run on, so the sweep waits."""

from collections.abc import Callable

import pytest
from sqlalchemy import event

from db.claims import LEASE, Token
from db.engine import Database
from db.states import State
from tasks.hints import HintSender
from tests.integration.lease_protocol.clock import HeldClock
from tests.integration.rows import job_row, shift
from workers import janitor as module
from workers.janitor import Janitor


class Clock:
    """Stands in for the machine's monotonic clock."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def pass_a_lease(self, rounds: Callable[[], None]) -> None:
        for _ in range(int(LEASE.total_seconds())):
            self.now += 1
            rounds()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def janitor(database: Database, clock: Clock) -> Janitor:
    return Janitor(
        kinds={},
        database=database,
        sender=HintSender("redis://127.0.0.1:1/0"),
        queue="cpu",
        clean_up=lambda: None,
    )


def lapsed(database: Database, started: Callable[..., Token]) -> str:
    token = started()
    shift(database, token.job_id, lease_expires_at=-60)
    return token.job_id


def test_a_sweeper_that_just_came_expires_nothing_for_one_lease(
    database: Database, janitor: Janitor, clock: Clock, started: Callable[..., Token]
) -> None:
    job_id = lapsed(database, started)
    janitor.round()
    assert job_row(database, job_id).state == State.RUNNING
    clock.pass_a_lease(janitor.round)
    assert job_row(database, job_id).state == State.QUEUED


def test_a_sweeper_that_was_frozen_itself_starts_anew(
    database: Database, janitor: Janitor, clock: Clock, started: Callable[..., Token]
) -> None:
    clock.pass_a_lease(janitor.round)
    job_id = lapsed(database, started)
    clock.now += LEASE.total_seconds() * 2
    janitor.round()
    assert job_row(database, job_id).state == State.RUNNING
    clock.pass_a_lease(janitor.round)
    assert job_row(database, job_id).state == State.QUEUED


def test_a_database_that_kept_the_sweeper_waiting_was_away(
    database: Database, janitor: Janitor, clock: Clock, started: Callable[..., Token]
) -> None:
    clock.pass_a_lease(janitor.round)
    job_id = lapsed(database, started)

    def slow(_connection: object) -> None:
        clock.now += LEASE.total_seconds()

    event.listen(database.writing_engine, "begin", slow)
    janitor.round()
    event.remove(database.writing_engine, "begin", slow)
    assert job_row(database, job_id).state == State.RUNNING
    clock.pass_a_lease(janitor.round)
    clock.pass_a_lease(janitor.round)
    assert job_row(database, job_id).state == State.QUEUED


def test_a_database_that_stands_still_in_the_midst_of_a_sweep_ends_no_attempt(
    database: Database, janitor: Janitor, clock: Clock, started: Callable[..., Token]
) -> None:
    its_clock = HeldClock(database)
    janitor.round()
    clock.pass_a_lease(janitor.round)
    job_id = started().job_id

    asked: list[str] = []

    def stand_still(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT") and not asked:
            asked.append(statement)
            its_clock.pass_(60)

    event.listen(database.writing_engine, "after_cursor_execute", stand_still)
    janitor.round()
    assert asked
    assert job_row(database, job_id).state == State.RUNNING
