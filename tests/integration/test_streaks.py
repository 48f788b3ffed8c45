"""Short jobs that a slot runs one after the other: claimed and committed several at a time."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from celery.events import EventReceiver
from sqlalchemy import func, select

from db.engine import Database
from db.rows import AttemptRow, JobRow
from db.states import State
from tasks.celery_app import make_app
from tests.integration.conftest import Queued
from tests.integration.rows import job_row, story, wait_for
from tests.integration.worker_process import Workers, runners_of
from tests.servers import ValkeyServer
from tests.waiting import until

Submitted = Callable[..., str]


def submit_checks(submitted: Submitted, count: int, seconds: float = 0) -> list[str]:
    return [submitted(spec={"kind": "check_worker", "message": str(n), "seconds": seconds}) for n in range(count)]


def in_state(database: Database, job_ids: list[str], state: State) -> int:
    with database.read() as session:
        of_these = select(func.count()).where(JobRow.id.in_(job_ids), JobRow.state == state)
        return session.scalar(of_these) or 0


def wait_for_all(database: Database, job_ids: list[str]) -> None:
    until(lambda: in_state(database, job_ids, State.SUCCEEDED) == len(job_ids), 90, what="every result")


@pytest.fixture
def warm(database: Database, workers: Workers, submitted: Submitted) -> None:
    """A worker of one slot that has seen that the jobs of this kind are short."""
    workers.start()
    wait_for_all(database, submit_checks(submitted, 5))


def test_short_jobs_are_claimed_together_and_need_no_hint_each(
    database: Database, workers: Workers, submitted: Submitted, valkey: ValkeyServer
) -> None:
    jobs = submit_checks(submitted, 300)
    workers.start(slots=2)
    wait_for_all(database, jobs)
    for number, job_id in enumerate(jobs):
        result = job_row(database, job_id).result
        assert result is not None
        assert result["message"] == str(number)
    log = (workers.home / "workers.log").read_text()
    together = [line for line in log.splitlines() if "jobs_claimed" in line and line.count("/") > 1]
    assert together
    assert valkey.client().llen("cpu") <= 2 * 2


def test_a_long_job_leaves_the_others_their_results_and_their_turn(
    database: Database, workers: Workers, warm: None, submitted: Submitted
) -> None:
    before = submit_checks(submitted, 10)
    long = submitted(spec={"kind": "check_worker", "seconds": 600})
    after = submit_checks(submitted, 10)
    wait_for(database, long, State.RUNNING)
    # One or two have a hint, which this worker takes up when it has room again.
    until(lambda: in_state(database, before, State.SUCCEEDED) >= len(before) - 2, what="the results so far")
    until(lambda: in_state(database, after, State.QUEUED) == len(after), what="the return of those behind")
    workers.start()
    wait_for_all(database, before + after)
    assert job_row(database, long).state == State.RUNNING
    for job_id in after:
        *returned, last = story(database, job_id)
        assert {outcome for _, outcome, _ in returned} <= {"handed_back"}
        assert last[1] == "succeeded"
        assert (job_row(database, job_id).failures, job_row(database, job_id).losses) == (0, 0)


def test_a_worker_that_shuts_down_gives_back_what_it_has_not_begun(
    database: Database, workers: Workers, submitted: Submitted
) -> None:
    worker = workers.start()
    jobs = submit_checks(submitted, 400, seconds=0.01)
    until(lambda: in_state(database, jobs, State.SUCCEEDED) > 20, what="some results")
    worker.send_signal(signal.SIGTERM)
    assert workers.wait_for_exit(worker) == 0
    assert in_state(database, jobs, State.RUNNING) == 0
    assert in_state(database, jobs, State.QUEUED) > 0
    with database.read() as session:
        assert set(session.scalars(select(AttemptRow.outcome).distinct())) <= {"succeeded", "handed_back"}
    workers.start()
    wait_for_all(database, jobs)


def test_a_killed_runner_costs_only_the_job_it_had(database: Database, workers: Workers, submitted: Submitted) -> None:
    worker = workers.start()
    jobs = submit_checks(submitted, 300, seconds=0.01)
    for share in (20, 100, 180):
        until(lambda share=share: in_state(database, jobs, State.SUCCEEDED) > share, what="some results")  # type: ignore[misc]
        for runner in runners_of(worker):
            runner.kill()
    wait_for_all(database, jobs)
    with database.read() as session:
        lost = session.scalars(select(AttemptRow.job_id).where(AttemptRow.outcome == "lost")).all()
        twice = select(AttemptRow.job_id).where(AttemptRow.outcome == "succeeded").group_by(AttemptRow.job_id)
        assert session.scalars(twice.having(func.count() > 1)).all() == []
    assert len(lost) <= 3


def test_a_killed_worker_s_jobs_run_again(database: Database, workers: Workers, submitted: Submitted) -> None:
    worker = workers.start()
    jobs = submit_checks(submitted, 200, seconds=0.01)
    until(lambda: in_state(database, jobs, State.SUCCEEDED) > 20, what="some results")
    worker.kill()
    workers.wait_for_exit(worker)
    workers.start()
    wait_for_all(database, jobs)


def test_jobs_without_a_hint_are_announced_to_monitors(
    database: Database, workers: Workers, submitted: Submitted, valkey: ValkeyServer, tmp_path: Path
) -> None:
    app = make_app(valkey.url)
    told: dict[str, list[str]] = {}
    jobs = submit_checks(submitted, 100)

    def hear(event: dict[str, object]) -> None:
        if str(event["type"]).startswith("task-"):
            told.setdefault(str(event["uuid"]), []).append(str(event["type"]))

    def all_told() -> bool:
        return all("task-succeeded" in told.get(job_id, ()) for job_id in jobs)

    with app.connection() as connection:
        receiver = EventReceiver(connection, handlers={"*": hear}, app=app)
        listening = threading.Thread(target=receiver.capture)
        listening.start()
        try:
            workers.start()
            wait_for_all(database, jobs)
            until(all_told, 30, what="every job's end on the event stream")
        finally:
            receiver.should_stop = True
            listening.join()
    for job_id in jobs:
        # A hint that came too late may be received after that.
        end = told[job_id].index("task-succeeded")
        assert told[job_id][end - 1] == "task-started"


def test_a_hint_finds_its_job_beside_a_backlog(database: Database, warm: None, queued: Queued) -> None:
    jobs = [queued() for _ in range(30)]
    wait_for_all(database, jobs)
