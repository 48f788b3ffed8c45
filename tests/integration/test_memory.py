"""A job may not use more memory than its runner's limit; one that does harms nobody else."""

from pathlib import Path

import pytest

from db.engine import Database
from db.jobs import attempts_of
from db.rows import JobRow
from db.states import State, StopRequest
from tests.integration.conftest import Queued
from tests.integration.rows import ask, job_row, shift, story, wait_for
from tests.integration.worker_process import Workers, runners_of
from tests.processes import pid_lives
from tests.waiting import until

pytestmark = pytest.mark.processes_alone

KIND = "misbehave_badly"
LIMIT = 300_000_000


def hurried_to_its_end(database: Database, job_id: str) -> JobRow:
    """The job once it is final; no pause between its attempts is waited out."""

    def ended() -> JobRow | None:
        job = job_row(database, job_id)
        if job.state == State.WAITING:
            shift(database, job_id, run_at=-1)
        return job if State(job.state).is_final else None

    return until(ended, 90, what="the job's end")


def first_cause(database: Database, job_id: str) -> str:
    with database.read() as session:
        return str(attempts_of(session, job_id)[0].cause)


def test_a_job_that_eats_memory_ends_at_the_cap_and_harms_nobody(
    database: Database, workers: Workers, queued: Queued
) -> None:
    worker = workers.start(slots=2, runner_memory=str(LIMIT))
    neighbour = queued(seconds=600)
    wait_for(database, neighbour, State.RUNNING)
    job = hurried_to_its_end(database, queued(KIND, how="eat memory"))
    assert (job.state, job.reason, job.losses, job.failures) == (State.FAILED, "out_of_memory", 5, 0)
    assert story(database, job.id) == [(number, "lost", "out_of_memory") for number in range(1, 6)]
    assert job.metrics["peak_memory_bytes"] > LIMIT
    assert job.error is not None
    assert job.error["code"] == "out_of_memory"
    assert "of memory, more than its limit of 300 MB." in job.error["message"]
    ask(database, neighbour, StopRequest.STOP)
    assert wait_for(database, neighbour).state == State.SUCCEEDED
    assert story(database, neighbour) == [(1, "succeeded", "stopped_by_user")]
    assert worker.is_running()


def test_there_is_a_pause_before_the_next_attempt(database: Database, workers: Workers, queued: Queued) -> None:
    workers.start(runner_memory=str(LIMIT))
    job = wait_for(database, queued(KIND, how="eat memory"), State.WAITING)
    assert job.run_at is not None
    assert job.reason == "out_of_memory"
    assert wait_for(database, queued()).state == State.SUCCEEDED


def test_what_a_job_s_processes_use_is_the_job_s(database: Database, workers: Workers, queued: Queued) -> None:
    workers.start(runner_memory=str(LIMIT))
    job_id = queued(KIND, how="eat memory in a child")
    wait_for(database, job_id, State.WAITING)
    assert story(database, job_id) == [(1, "lost", "out_of_memory")]
    child = int((workers.home / "scratch" / "child.pid").read_text())
    until(lambda: not pid_lives(child), what="the child's end")


def test_what_processes_share_counts_once(database: Database, workers: Workers, queued: Queued) -> None:
    worker = workers.start(slots=2, runner_memory=str(LIMIT))
    job_id = queued(KIND, how="share memory")
    families = until(lambda: [found for r in runners_of(worker) if len(found := [r, *r.children()]) == 6])
    assert sum(process.memory_info().rss for process in families[0]) > LIMIT
    # While another runner is found to use too much, this one is looked at, too.
    hurried_to_its_end(database, queued(KIND, how="eat memory"))
    (workers.home / "scratch" / "looked").touch()
    assert wait_for(database, job_id).state == State.SUCCEEDED
    assert story(database, job_id) == [(1, "succeeded", "completed")]


def test_memory_that_is_refused_is_a_lack_of_memory(database: Database, workers: Workers, queued: Queued) -> None:
    worker = workers.start(runner_memory=str(LIMIT))
    job_id = queued(KIND, how="allocate the world")
    wait_for(database, job_id, State.WAITING)
    runners = runners_of(worker)
    assert story(database, job_id) == [(1, "lost", "out_of_memory")]
    assert first_cause(database, job_id) == "The job got no more memory; the limit of its runner is 300 MB."
    assert wait_for(database, queued()).state == State.SUCCEEDED
    assert runners_of(worker) == runners


def test_what_a_job_keeps_is_not_charged_to_the_next(database: Database, workers: Workers, queued: Queued) -> None:
    workers.start(runner_memory=str(LIMIT))
    pids = []
    for job_id in [queued(KIND, how="keep memory") for _ in range(3)]:
        job = wait_for(database, job_id)
        assert (job.state, job.attempt) == (State.SUCCEEDED, 1)
        assert job.result is not None
        pids.append(job.result["text"])
    assert len(set(pids)) == len(pids)


def test_a_kernel_without_memory_kills_runners_first(database: Database, workers: Workers, queued: Queued) -> None:
    worker = workers.start()
    wait_for(database, queued())
    (runner,) = runners_of(worker)
    scores = [int(Path(f"/proc/{process.pid}/oom_score_adj").read_text()) for process in (runner, worker)]
    assert scores[0] == 1000 > scores[1]
