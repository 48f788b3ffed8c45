"""SIGTERM to a worker: it takes nothing more, lets short jobs end, hands long ones back, and ends with exit code 0."""

import signal

import psutil
import pytest

from db.engine import Database
from db.jobs import attempts_of
from db.rows import WorkerRow
from db.states import State
from tests.integration.conftest import Queued
from tests.integration.rows import job_row, story, wait_for
from tests.integration.worker_process import Workers, runners_of
from tests.processes import lives
from tests.servers import ValkeyServer
from tests.waiting import until

pytestmark = pytest.mark.processes_alone

KIND = "misbehave_badly"
# Longer than a worker is waited for.
NEVER = "600"


def told_to_end(workers: Workers, worker: psutil.Process) -> int:
    worker.terminate()
    return workers.wait_for_exit(worker)


def begun(database: Database, job_id: str) -> None:
    """Wait until the job itself has said something."""
    until(lambda: job_row(database, job_id).progress_fraction is not None, what="progress")


def test_an_idle_worker(database: Database, workers: Workers) -> None:
    worker = workers.start(slots=2)
    runners = until(lambda: len(found := runners_of(worker)) == 2 and found)
    assert told_to_end(workers, worker) == 0
    until(lambda: not any(lives(runner) for runner in runners), what="the end of the runners")
    with database.read() as session:
        assert session.query(WorkerRow).one().stopped_at is not None


def test_a_short_job_ends_and_the_others_are_left_to_others(
    database: Database, workers: Workers, queued: Queued
) -> None:
    worker = workers.start(grace=NEVER)
    short = queued(seconds=2)
    begun(database, short)
    others = [queued(message=str(number)) for number in range(5)]
    assert told_to_end(workers, worker) == 0
    assert story(database, short) == [(1, "succeeded", "completed")]
    assert [job_row(database, job_id).state for job_id in others] == [State.QUEUED] * len(others)
    workers.start()
    for job_id in others:
        assert wait_for(database, job_id).state == State.SUCCEEDED
        assert story(database, job_id) == [(1, "succeeded", "completed")]


def test_a_long_job_keeps_a_checkpoint_and_hands_back(database: Database, workers: Workers, queued: Queued) -> None:
    worker = workers.start(grace=NEVER)
    job_id = queued(KIND, how="hand back")
    begun(database, job_id)
    assert told_to_end(workers, worker) == 0
    job = job_row(database, job_id)
    assert (job.state, job.reason, job.failures, job.losses) == (State.QUEUED, None, 0, 0)
    workers.start()
    assert wait_for(database, job_id).result == {"text": "from a checkpoint"}
    assert story(database, job_id) == [(1, "handed_back", None), (2, "succeeded", "completed")]


@pytest.mark.parametrize("how", ["ignore SIGTERM", "spin in C", "sleep"])
def test_a_job_that_does_not_listen_is_killed_and_handed_back(
    database: Database, workers: Workers, queued: Queued, how: str
) -> None:
    worker = workers.start(grace="0.5")
    job_id = queued(KIND, how=how)
    begun(database, job_id)
    assert told_to_end(workers, worker) == 0
    job = job_row(database, job_id)
    assert (job.state, job.reason, job.failures, job.losses) == (State.QUEUED, None, 0, 0)
    assert story(database, job_id) == [(1, "handed_back", None)]
    with database.read() as session:
        assert attempts_of(session, job_id)[0].cause == "The worker was shut down."


@pytest.mark.parametrize("outage", [signal.SIGKILL, signal.SIGSTOP])
def test_while_the_broker_is_away(
    database: Database, workers: Workers, queued: Queued, valkey: ValkeyServer, outage: signal.Signals
) -> None:
    worker = workers.start(grace="0.5")
    job_id = queued(KIND, how="sleep")
    begun(database, job_id)
    valkey.signal(outage)
    assert told_to_end(workers, worker) == 0
    assert story(database, job_id) == [(1, "handed_back", None)]
    valkey.signal(signal.SIGCONT)


def test_signals_that_come_again_and_again(database: Database, workers: Workers, queued: Queued) -> None:
    worker = workers.start(slots=2, grace="1")
    job_id = queued(KIND, how="ignore SIGTERM")
    begun(database, job_id)
    for _ in range(300):
        worker.terminate()
    assert told_to_end(workers, worker) == 0
    assert story(database, job_id) == [(1, "handed_back", None)]


def test_before_it_found_its_database(workers: Workers) -> None:
    worker = workers.start(database_url="postgresql+psycopg://turnout@127.0.0.1:9/turnout")
    until(lambda: "worker_not_registered_yet" in (workers.home / "workers.log").read_text(), what="a worker that waits")
    assert told_to_end(workers, worker) == 0
