"""Jobs that break the rules harm nobody else: their attempt ends with the cause, and the slot is of use again."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta

import psutil
import pytest

from db.engine import Database
from db.hints import next_hints
from db.states import State, StopRequest
from tests.integration.conftest import Queued
from tests.integration.rows import ask, job_row, story, wait_for
from tests.integration.worker_process import Workers, runners_of
from tests.processes import lives
from tests.servers import ValkeyServer
from tests.waiting import until

pytestmark = pytest.mark.processes_alone

KIND = "misbehave_badly"


@pytest.mark.parametrize("how", ["rubbish", "unknown message"])
def test_a_runner_that_talks_rubbish_is_replaced_alone(
    database: Database, workers: Workers, queued: Queued, how: str
) -> None:
    worker = workers.start(slots=2)
    neighbour = queued(seconds=8)
    wait_for(database, neighbour, State.RUNNING)
    bad = queued(KIND, how=how)
    until(lambda: len(story(database, bad)) >= 2, 60, what="a second attempt")
    assert story(database, bad)[0] == (1, "lost", "worker_lost")
    ask(database, bad, StopRequest.CANCEL)
    assert wait_for(database, neighbour).state == State.SUCCEEDED
    assert story(database, neighbour) == [(1, "succeeded", "completed")]
    assert worker.is_running()


def test_text_that_can_not_be_stored_is_cleaned(database: Database, workers: Workers, queued: Queued) -> None:
    workers.start()
    job = wait_for(database, queued(KIND, how="odd text"))
    assert (job.state, job.result) == (State.SUCCEEDED, {"text": "c\ufffdd"})
    assert job.attempt == 1


@pytest.mark.parametrize(("how", "sentence"), [("own code", "of my own"), ("raise", "RuntimeError")])
def test_any_exception_ends_the_job_as_failed(
    database: Database, workers: Workers, queued: Queued, how: str, sentence: str
) -> None:
    workers.start()
    job = wait_for(database, queued(KIND, how=how))
    assert (job.state, job.reason, job.attempt) == (State.FAILED, "internal_error", 1)
    assert job.error is not None
    assert sentence in job.error["message"]
    assert "hunter2" not in job.error["message"]


def test_a_spec_that_no_longer_fits_is_refused_at_once(database: Database, workers: Workers, queued: Queued) -> None:
    workers.start()
    job = wait_for(database, queued(seconds=-1))
    assert (job.state, job.reason) == (State.FAILED, "invalid_input")
    assert story(database, job.id) == [(1, "failed", "invalid_input")]


def test_a_job_that_spins_in_c_keeps_its_lease_and_can_be_cancelled(
    database: Database, workers: Workers, queued: Queued
) -> None:
    workers.start()
    job_id = queued(KIND, how="spin in C")
    first = until(lambda: job_row(database, job_id).progress_fraction and job_row(database, job_id).lease_expires_at)
    until(lambda: (job_row(database, job_id).lease_expires_at or first) > first + timedelta(seconds=6), 60)
    ask(database, job_id, StopRequest.CANCEL)
    assert wait_for(database, job_id).state == State.CANCELLED
    assert story(database, job_id) == [(1, "cancelled", "cancelled_by_user")]


@pytest.fixture
def left_behind(workers: Workers) -> Iterator[Callable[[], psutil.Process]]:
    """The process that a job forked off; ended with the test."""
    file = workers.home / "scratch" / "child.pid"

    def child() -> psutil.Process:
        return psutil.Process(read())

    def read() -> int:
        # The next attempt may be writing its own at this moment.
        return int(until(lambda: file.exists() and file.read_text()))

    yield child
    if file.exists() and psutil.pid_exists(read()):
        os.kill(read(), 9)


def test_a_child_of_a_job_does_not_hold_up_its_slot(
    database: Database, workers: Workers, queued: Queued, left_behind: Callable[[], psutil.Process]
) -> None:
    worker = workers.start()
    bad = queued(KIND, how="child")
    wait_for(database, bad, State.RUNNING)
    child = left_behind()
    for runner in runners_of(worker):
        runner.kill()
    until(lambda: len(story(database, bad)) == 2, what="a second attempt")
    until(lambda: not lives(child), what="the child's end")


def test_a_child_of_a_job_does_not_outlive_its_worker_s_successor(
    database: Database, workers: Workers, queued: Queued, left_behind: Callable[[], psutil.Process]
) -> None:
    worker = workers.start()
    wait_for(database, queued(KIND, how="child"), State.RUNNING)
    child = left_behind()
    worker.kill()
    workers.wait_for_exit(worker)
    workers.start()
    assert wait_for(database, queued()).state == State.SUCCEEDED
    until(lambda: not lives(child), what="the child's end")


def test_what_killed_attempts_left_on_disk_is_removed(database: Database, workers: Workers, queued: Queued) -> None:
    worker = workers.start()
    job_id = queued("misbehave_badly", how="ignore SIGTERM")
    scratch = workers.home / "scratch" / "cpu-0-0"
    until(lambda: (scratch / f"{job_id}-1").exists())
    worker.kill()
    workers.wait_for_exit(worker)
    workers.start()
    until(lambda: not (scratch / f"{job_id}-1").exists(), 60, what="an empty scratch directory")


def test_a_hint_that_got_lost_is_sent_again_although_others_keep_coming(
    database: Database, workers: Workers, queued: Queued, submitted: Callable[..., str], valkey: ValkeyServer
) -> None:
    important = submitted(priority=9, spec={"kind": "check_worker"})
    with database.write() as session:
        assert [hint.job_id for hint in next_hints(session, "cpu")] == [important]
    others = [queued(seconds=1) for _ in range(40)]
    workers.start()
    assert wait_for(database, important).state == State.SUCCEEDED
    assert State.QUEUED in {job_row(database, job_id).state for job_id in others}


def test_a_worker_without_a_ready_runner_ends_when_told_to(
    database: Database, workers: Workers, queued: Queued, valkey: ValkeyServer
) -> None:
    worker = workers.start()
    for runner in until(lambda: runners_of(worker)):
        runner.suspend()
    job_id = queued()
    until(lambda: valkey.client().llen("cpu") == 0, what="a hint that was taken")
    worker.terminate()
    assert workers.wait_for_exit(worker) == 0
    workers.start()
    assert wait_for(database, job_id).state == State.SUCCEEDED
    assert story(database, job_id) == [(1, "succeeded", "completed")]
