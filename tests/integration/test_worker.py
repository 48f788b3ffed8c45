"""A real worker process with real runners, a real broker and a real database."""

import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from db.clock import read_now
from db.engine import Database
from db.rows import JobRow
from db.states import State, StopRequest
from db.stops import request_stop
from tasks.hints import HintSender
from tests.integration.conftest import Queued
from tests.integration.rows import all_workers, causes, event_types, job_row, story, wait_for
from tests.integration.worker_process import Workers, runners_of
from tests.processes import lives
from tests.servers import ValkeyServer
from tests.waiting import until


def test_a_job_runs_and_its_result_is_committed(database: Database, workers: Workers, queued: Queued) -> None:
    workers.start()
    job = wait_for(database, queued(message="hi"))
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)
    assert job.result is not None
    assert job.result["message"] == "hi"
    assert {"queue_seconds", "run_seconds", "peak_memory_bytes"} <= set(job.metrics)
    assert event_types(database, job.id)[-1] == "final"


def test_more_jobs_than_a_window_all_run(database: Database, workers: Workers, queued: Queued) -> None:
    jobs = [queued(message=str(number)) for number in range(25)]
    workers.start(slots=2)
    for number, job_id in enumerate(jobs):
        result = wait_for(database, job_id).result
        assert result is not None
        assert result["message"] == str(number)
        assert story(database, job_id) == [(1, "succeeded", "completed")]


def test_a_killed_runner_is_replaced_and_its_job_runs_again(
    database: Database, workers: Workers, queued: Queued
) -> None:
    worker = workers.start()
    job_id = queued(seconds=3)
    wait_for(database, job_id, State.RUNNING)
    until(lambda: job_row(database, job_id).progress_fraction, what="progress")
    for runner in runners_of(worker):
        runner.kill()
    assert wait_for(database, job_id).state == State.SUCCEEDED
    assert story(database, job_id) == [(1, "lost", "worker_lost"), (2, "succeeded", "completed")]


def test_a_killed_worker_takes_its_runners_along_and_its_successor_runs_the_job(
    database: Database, workers: Workers, queued: Queued
) -> None:
    worker = workers.start()
    job_id = queued(seconds=3)
    wait_for(database, job_id, State.RUNNING)
    runners = until(lambda: runners_of(worker))
    worker.kill()
    workers.wait_for_exit(worker)
    until(lambda: not any(lives(runner) for runner in runners), what="the end of the runners")
    workers.start()
    assert wait_for(database, job_id).state == State.SUCCEEDED
    assert story(database, job_id) == [(1, "lost", "worker_lost"), (2, "succeeded", "completed")]
    # Told by its successor, who waits for no lease.
    assert causes(database, job_id)[0] == "Worker cpu-0 died."


def test_a_worker_of_the_same_name_in_another_home_is_no_successor(
    database: Database, workers: Workers, queued: Queued, tmp_path: Path
) -> None:
    workers.start()
    job_id = queued(seconds=5)
    wait_for(database, job_id, State.RUNNING)
    workers.start(home=str(tmp_path / "elsewhere"))
    until(lambda: [worker.name for worker in all_workers(database)] == ["cpu-0", "cpu-0"], what="two of that name")
    assert wait_for(database, job_id).state == State.SUCCEEDED
    assert story(database, job_id) == [(1, "succeeded", "completed")]


def test_a_frozen_worker_s_job_is_given_away_and_its_runner_ends(
    database: Database, workers: Workers, queued: Queued
) -> None:
    frozen = workers.start()
    job_id = queued(seconds=40)
    wait_for(database, job_id, State.RUNNING)
    runners = until(lambda: runners_of(frozen))
    # Not in the midst of a transaction, which on SQLite would hold up everybody.
    with database.write() as session:
        read_now(session)
        frozen.suspend()
    other = workers.start()
    until(lambda: job_row(database, job_id).attempt == 2, 60, what="a second attempt")
    frozen.resume()
    until(lambda: not any(lives(runner) for runner in runners), what="the end of the frozen worker's runner")
    until(lambda: runners_of(other))
    assert job_row(database, job_id).attempt == 2
    with database.write() as session:
        request_stop(session, session.get_one(JobRow, job_id), StopRequest.CANCEL)
    wait_for(database, job_id, State.CANCELLED)


def test_a_running_job_is_cancelled(database: Database, workers: Workers, queued: Queued) -> None:
    workers.start()
    job_id = queued(seconds=600)
    wait_for(database, job_id, State.RUNNING)
    with database.write() as session:
        request_stop(session, session.get_one(JobRow, job_id), StopRequest.CANCEL)
    assert wait_for(database, job_id).state == State.CANCELLED
    assert story(database, job_id) == [(1, "cancelled", "cancelled_by_user")]


def test_a_time_limit_ends_a_job(database: Database, workers: Workers, submitted: Callable[..., str]) -> None:
    workers.start()
    job_id = submitted(spec={"kind": "check_worker", "seconds": 600}, time_limit=timedelta(seconds=1))
    job = wait_for(database, job_id)
    assert (job.state, job.reason) == (State.FAILED, "timed_out")


def test_a_worker_that_shuts_down_hands_its_job_back(database: Database, workers: Workers, queued: Queued) -> None:
    worker = workers.start()
    job_id = queued(seconds=600)
    wait_for(database, job_id, State.RUNNING)
    worker.send_signal(signal.SIGTERM)
    assert workers.wait_for_exit(worker) == 0
    job = job_row(database, job_id)
    assert (job.state, job.failures, job.losses) == (State.QUEUED, 0, 0)
    assert story(database, job_id) == [(1, "handed_back", None)]


def test_a_wiped_broker_loses_no_job(
    database: Database, workers: Workers, queued: Queued, valkey: ValkeyServer
) -> None:
    jobs = [queued() for _ in range(6)]
    valkey.client().flushall()
    workers.start()
    for job_id in jobs:
        assert wait_for(database, job_id).state == State.SUCCEEDED


def test_jobs_submitted_while_the_broker_is_down_run_once_it_is_back(
    database: Database, workers: Workers, queued: Queued, submitted: Callable[..., str], valkey: ValkeyServer
) -> None:
    workers.start()
    wait_for(database, queued())
    valkey.kill()
    jobs = [submitted(spec={"kind": "check_worker"}) for _ in range(3)]
    valkey.start()
    for job_id in jobs:
        assert wait_for(database, job_id).state == State.SUCCEEDED
        assert len(story(database, job_id)) == 1


def test_a_hint_for_a_job_that_is_gone_does_no_harm(
    database: Database, workers: Workers, queued: Queued, valkey: ValkeyServer
) -> None:
    workers.start()
    first = queued()
    wait_for(database, first)
    HintSender(valkey.url).send("cpu", [(first, "check_worker"), ("no-such-job", "check_worker")])
    second = queued()
    assert wait_for(database, second).state == State.SUCCEEDED
    assert story(database, first) == [(1, "succeeded", "completed")]


def test_a_stop_outlives_a_killed_runner(database: Database, workers: Workers, queued: Queued) -> None:
    worker = workers.start()
    job_id = queued(seconds=600)
    wait_for(database, job_id, State.RUNNING)
    (runner,) = until(lambda: runners_of(worker))
    # Frozen, so that it can't heed the stop before it dies.
    runner.suspend()
    with database.write() as session:
        request_stop(session, session.get_one(JobRow, job_id), StopRequest.STOP)
    runner.kill()
    job = wait_for(database, job_id)
    assert (job.state, job.reason) == (State.SUCCEEDED, "stopped_by_user")
    assert story(database, job_id) == [(1, "lost", "worker_lost"), (2, "succeeded", "stopped_by_user")]
