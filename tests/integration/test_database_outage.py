"""A database that is away, or stands still, for longer than a lease: no job is lost and no attempt burnt."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from db.engine import Database
from db.schema import upgrade
from db.states import State
from tests.integration.conftest import Queued
from tests.integration.rows import job_row, story, wait_for
from tests.integration.worker_process import Workers, runners_of
from tests.servers import PostgresServer
from tests.waiting import until

Outage = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server that only this test hurts; its commits reach the disk."""
    server = PostgresServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite locked", "postgres killed", "postgres frozen"])
def outage(request: pytest.FixtureRequest) -> Iterator[tuple[Database, Outage]]:
    if request.param == "sqlite locked":
        file: Database = request.getfixturevalue("sqlite_database")
        yield file, lambda: _locked(file)
        return
    server: PostgresServer = request.getfixturevalue("server")
    database = Database(server.make_database(), durable=True)
    upgrade(database)
    yield database, lambda: _killed(server) if request.param == "postgres killed" else _frozen(server)
    database.dispose()


@contextmanager
def _locked(database: Database) -> Iterator[None]:
    with database.writing_engine.connect() as connection:
        # Nobody else can write meanwhile.
        connection.exec_driver_sql("UPDATE jobs SET tags = tags")
        yield
        connection.rollback()


@contextmanager
def _killed(server: PostgresServer) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def _frozen(server: PostgresServer) -> Iterator[None]:
    server.signal(signal.SIGSTOP)
    yield
    server.signal(signal.SIGCONT)


@pytest.fixture
def database(outage: tuple[Database, Outage]) -> Database:
    """The one that goes away; for the fixtures that submit and run jobs."""
    return outage[0]


def test_it_costs_no_job(database: Database, outage: tuple[Database, Outage], workers: Workers, queued: Queued) -> None:
    busy = workers.start()
    # Its janitor would give the other's job away.
    idle = workers.start()
    until(lambda: runners_of(busy) and runners_of(idle), what="both workers' runners")
    running = queued(seconds=25)
    job = wait_for(database, running, State.RUNNING)
    assert job.lease_expires_at is not None
    with outage[1]():
        until(lambda: (datetime.now(UTC) - job.lease_expires_at).total_seconds() > 3, what="a lapsed lease")
    afterwards = queued()
    for job_id in (running, afterwards):
        assert wait_for(database, job_id).state == State.SUCCEEDED
        assert story(database, job_id) == [(1, "succeeded", "completed")]


def test_an_idle_worker_that_is_told_to_end_meanwhile_ends(
    database: Database, outage: tuple[Database, Outage], workers: Workers, queued: Queued
) -> None:
    worker = workers.start()
    assert wait_for(database, queued()).state == State.SUCCEEDED
    with outage[1]():
        worker.terminate()
        assert workers.wait_for_exit(worker) == 0


@pytest.mark.parametrize("seconds", [1, 600], ids=["a job that ended", "a job that goes on"])
def test_a_worker_that_is_told_to_end_meanwhile_leaves_its_job_to_others(
    database: Database, outage: tuple[Database, Outage], workers: Workers, queued: Queued, seconds: int
) -> None:
    worker = workers.start(grace="2")
    job_id = queued(seconds=seconds)
    until(lambda: job_row(database, job_id).progress_fraction is not None, what="progress")
    with outage[1]():
        worker.terminate()
        assert workers.wait_for_exit(worker) == 0
        assert f"{job_id}/1" in _line_of("attempts_left_behind", workers.home / "workers.log")
    assert story(database, job_id) == [(1, "running", None)]
    workers.start()
    until(lambda: len(story(database, job_id)) == 2, 60, what="another attempt")
    assert story(database, job_id)[0] == (1, "lost", "worker_lost")


def _line_of(event: str, log: Path) -> str:
    (line,) = [line for line in log.read_text().splitlines() if event in line]
    return line


def test_a_worker_that_starts_meanwhile_waits_for_its_end(
    database: Database, outage: tuple[Database, Outage], workers: Workers, queued: Queued
) -> None:
    job_id = queued()
    log = workers.home / "workers.log"
    with outage[1]():
        worker = workers.start()
        if not database.is_sqlite:
            until(lambda: "worker_not_registered_yet" in log.read_text(), what="a worker that finds no database")
    assert wait_for(database, job_id).state == State.SUCCEEDED
    assert story(database, job_id) == [(1, "succeeded", "completed")]
    assert worker.is_running()
