"""What Flower shows of jobs, against their rows."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from db.engine import Database
from db.finish import MAX_LOSSES
from db.hints import next_hints
from db.rows import JobRow
from db.schema import upgrade
from db.states import State, StopRequest
from db.stops import request_stop
from db.submit import NewJob, submit
from tasks.hints import HintSender
from tests.flower_view import FlowerView, wait_until_agreed
from tests.integration.conftest import Queued, make_owner
from tests.integration.flower_process import FlowerProcess
from tests.integration.rows import job_row, shift, wait_for
from tests.integration.worker_process import Workers
from tests.servers import PostgresServer, ValkeyServer
from tests.waiting import until


@pytest.fixture
def flower_process(tmp_path: Path, valkey: ValkeyServer, database: Database) -> Iterator[FlowerProcess]:
    url = database.writing_engine.url.render_as_string(hide_password=False)
    flower = FlowerProcess(tmp_path, valkey.url, url)
    flower.start()
    yield flower
    flower.kill()


@pytest.fixture
def flower(flower_process: FlowerProcess) -> FlowerView:
    return flower_process.view


def all_jobs(database: Database) -> list[JobRow]:
    with database.read() as session:
        return list(session.scalars(select(JobRow)))


def agreed(flower: FlowerView, database: Database) -> dict[str, str]:
    """The states that Flower shows, once they are true."""
    tasks = wait_until_agreed(flower, lambda: all_jobs(database))
    return {job_id: task["state"] for job_id, task in tasks.items()}


def cancel(database: Database, job_id: str) -> None:
    with database.write() as session:
        request_stop(session, session.get_one(JobRow, job_id), StopRequest.CANCEL)


def test_every_ending_is_shown(database: Database, workers: Workers, queued: Queued, flower: FlowerView) -> None:
    workers.start()
    succeeded, failed = queued(message="said in the spec"), queued("misbehave_badly", how="raise")
    # The slot may take a job that no hint told of yet before one that waits in the broker.
    for job_id in (succeeded, failed):
        wait_for(database, job_id)
    cancelled = queued(seconds=600)
    wait_for(database, cancelled, State.RUNNING)
    assert agreed(flower, database) == {succeeded: "SUCCESS", failed: "FAILURE", cancelled: "STARTED"}
    cancel(database, cancelled)
    wait_for(database, cancelled)
    assert agreed(flower, database) == {succeeded: "SUCCESS", failed: "FAILURE", cancelled: "REVOKED"}
    task = flower.task(succeeded)
    assert task["name"] == "check_worker"
    assert succeeded in task["args"]
    assert "said in the spec" not in str(task)
    assert task["worker"].startswith("cpu-0@")
    assert (task["exception"], task["retries"]) == (None, 0)
    assert 0 <= task["runtime"] < 30


def test_a_failure_says_what_the_job_says(
    database: Database, workers: Workers, queued: Queued, flower: FlowerView
) -> None:
    workers.start()
    job = wait_for(database, queued("misbehave_badly", how="raise"))
    agreed(flower, database)
    task = flower.task(job.id)
    assert job.error is not None
    assert (task["exception"], task["traceback"]) == (job.error["message"], None)


def test_jobs_that_end_without_a_worker(
    database: Database, workers: Workers, queued: Queued, submitted: Callable[..., str], flower: FlowerView
) -> None:
    cancelled, overdue = queued(), queued()
    dependent = submitted(after=[cancelled])
    until(lambda: set(flower.tasks()) == {cancelled, overdue}, what="the hinted jobs in Flower")
    assert agreed(flower, database) == {cancelled: "PENDING", overdue: "PENDING"}
    cancel(database, cancelled)
    shift(database, overdue, deadline_at=-60)
    # Its janitor ends the two others; it finds nothing to do in the hints.
    workers.start()
    for job_id in (overdue, dependent):
        wait_for(database, job_id)
    assert agreed(flower, database) == {cancelled: "REVOKED", overdue: "FAILURE", dependent: "FAILURE"}


def test_hints_that_come_twice(
    database: Database, workers: Workers, queued: Queued, flower: FlowerView, valkey: ValkeyServer
) -> None:
    running, other = workers.start(slots=2), workers.start(slots=2)
    assert running.is_running()
    assert other.is_running()
    long, ended, failed = queued(seconds=600), queued(), queued("misbehave_badly", how="raise")
    wait_for(database, long, State.RUNNING)
    for job_id in (ended, failed):
        wait_for(database, job_id)
    true = {long: "STARTED", ended: "SUCCESS", failed: "FAILURE"}
    assert agreed(flower, database) == true
    worker = flower.task(long)["worker"]
    seen: set[str] = set()

    def all_taken() -> bool:
        seen.update(task["state"] for job_id, task in flower.tasks().items() if job_id == long)
        return sender.pending("cpu") == 0

    sender = HintSender(valkey.url)
    for _ in range(5):
        sender.send("cpu", [(long, "check_worker"), (ended, "check_worker"), (failed, "misbehave_badly")] * 2)
        until(all_taken, what="the end of the hints")
        assert agreed(flower, database) == true
    assert seen == {"STARTED"}
    # The duplicates may have gone to the other worker.
    until(lambda: flower.task(long)["worker"] == worker, what="the worker that runs the job")


def test_a_hint_for_nothing_leaves_no_task(
    database: Database, workers: Workers, queued: Queued, flower: FlowerView, valkey: ValkeyServer
) -> None:
    workers.start()
    sender = HintSender(valkey.url)
    sender.send("cpu", [("no-such-job", "check_worker")])
    until(lambda: sender.pending("cpu") == 0, what="the end of the hint")
    job_id = queued()
    wait_for(database, job_id)
    until(lambda: set(flower.tasks()) == {job_id}, what="the job alone")


def test_a_lost_worker_shows_a_retry_then_its_successor(
    database: Database, workers: Workers, queued: Queued, flower: FlowerView
) -> None:
    killed = workers.start()
    workers.start()
    until(lambda: len(flower.workers()) == 2 and all(flower.workers().values()), what="two workers online")
    blockers = [queued(seconds=600), queued(seconds=600)]
    for job_id in blockers:
        wait_for(database, job_id, State.RUNNING)
    agreed(flower, database)
    name = {job_row(database, job_id).id: flower.task(job_id)["worker"] for job_id in blockers}
    killed.kill()
    workers.wait_for_exit(killed)
    lost = until(
        lambda: next((job for job in all_jobs(database) if job.state == State.QUEUED), None), what="a lost attempt"
    )
    assert agreed(flower, database)[lost.id] == "RETRY"
    assert "no sign of life" in flower.task(lost.id)["exception"]
    until(lambda: flower.workers()[name[lost.id]] is False, what="the killed worker offline")
    workers.start()
    wait_for(database, lost.id, State.RUNNING)
    assert agreed(flower, database)[lost.id] == "STARTED"
    until(lambda: flower.task(lost.id)["retries"] == 1, what="the count of retries")
    until(lambda: all(flower.workers().values()), what="every worker online")


def test_the_last_loss_shows_a_failure(
    database: Database, workers: Workers, queued: Queued, flower: FlowerView
) -> None:
    worker = workers.start()
    job_id = queued(seconds=600)
    wait_for(database, job_id, State.RUNNING)
    assert agreed(flower, database) == {job_id: "STARTED"}
    with database.write() as session:
        session.execute(update(JobRow).values(losses=MAX_LOSSES - 1))
    worker.kill()
    workers.start()
    assert wait_for(database, job_id).state == State.FAILED
    assert agreed(flower, database) == {job_id: "FAILURE"}
    assert "lost what it ran on 5 times" in flower.task(job_id)["exception"]


def test_a_job_handed_back_shows_a_retry(
    database: Database, workers: Workers, queued: Queued, flower: FlowerView
) -> None:
    worker = workers.start()
    job_id = queued(seconds=600)
    wait_for(database, job_id, State.RUNNING)
    worker.terminate()
    workers.wait_for_exit(worker)
    assert agreed(flower, database) == {job_id: "RETRY"}


def test_a_cancel_while_the_broker_is_down(
    database: Database, workers: Workers, queued: Queued, flower: FlowerView, valkey: ValkeyServer
) -> None:
    workers.start()
    job_id = queued(seconds=600)
    wait_for(database, job_id, State.RUNNING)
    assert agreed(flower, database) == {job_id: "STARTED"}
    valkey.kill()
    cancel(database, job_id)
    wait_for(database, job_id)
    assert agreed(flower, database) == {job_id: "REVOKED"}
    valkey.start()
    other = queued()
    wait_for(database, other)
    assert agreed(flower, database) == {job_id: "REVOKED", other: "SUCCESS"}
    until(lambda: all(flower.workers().values()), what="the worker online")


def test_a_wiped_broker(
    database: Database, workers: Workers, queued: Queued, flower: FlowerView, valkey: ValkeyServer
) -> None:
    workers.start()
    long, hinted = queued(seconds=600), queued(seconds=600)
    wait_for(database, long, State.RUNNING)
    valkey.client().flushall()
    # Between the end of the mark that was lost and the new one, the job is one that nobody was told of.
    until(lambda: agreed(flower, database) == {long: "STARTED", hinted: "PENDING"}, what="the job hinted anew")
    cancel(database, long)
    wait_for(database, hinted, State.RUNNING)
    assert agreed(flower, database) == {long: "REVOKED", hinted: "STARTED"}
    until(lambda: all(flower.workers().values()), what="the worker online")


@pytest.mark.parametrize("kept", [True, False], ids=["with its file", "without its file"])
def test_a_flower_killed_and_started_again(
    database: Database, workers: Workers, queued: Queued, flower_process: FlowerProcess, kept: bool
) -> None:
    workers.start(slots=2)
    flower = flower_process.view
    ended, long = queued(), queued(seconds=600)
    wait_for(database, ended)
    wait_for(database, long, State.RUNNING)
    assert agreed(flower, database) == {ended: "SUCCESS", long: "STARTED"}
    if kept:
        until(flower_process.files, what="Flower's file")
    flower_process.kill()
    unseen = queued()
    wait_for(database, unseen)
    for file in () if kept else flower_process.files():
        file.unlink()
    flower_process.start()
    assert agreed(flower, database) == {ended: "SUCCESS", long: "STARTED", unseen: "SUCCESS"}
    assert flower.task(unseen)["name"] == "check_worker"


def test_a_database_server_killed_and_started_again(tmp_path: Path, valkey: ValkeyServer) -> None:
    server = PostgresServer(tmp_path)
    server.start()
    url = server.make_database()
    flower_process = FlowerProcess(tmp_path, valkey.url, url)
    try:
        # Nothing is migrated yet.
        flower_process.start()
        database = Database(url)
        upgrade(database)
        owner_id = make_owner(database, "ada")

        def hinted() -> str:
            with database.write() as session:
                job = submit(
                    session, NewJob(owner_id=owner_id, kind="check_worker", queue="cpu", spec={}, max_attempts=1)
                )
            with database.write() as session:
                assert next_hints(session, "cpu")
            return job.id

        first = hinted()
        until(lambda: agreed(flower_process.view, database) == {first: "PENDING"}, what="the job in Flower")
        server.kill()
        until(lambda: "jobs_not_read" in flower_process.log.read_text(), what="a Flower that misses its database")
        server.start()
        database.dispose()
        cancel(database, first)
        second = hinted()
        until(lambda: agreed(flower_process.view, database) == {first: "REVOKED", second: "PENDING"}, what="both jobs")
        database.dispose()
    finally:
        flower_process.kill()
        server.stop()
