"""Jobs that name no queue go where somebody runs them."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from api.placing import Placing
from db.clock import db_now
from db.engine import Database
from db.moving import move_stranded
from db.rows import EventRow, WorkerRow
from db.workers import register, stopped
from tasks.registry import load_kinds
from tests.integration.rows import job_row

Submitted = Callable[..., str]
KIND = load_kinds()["embed_text"]
QUEUES = {KIND.name: KIND.queues}


def start_worker(database: Database, queue: str, kind: str = KIND.name) -> str:
    with database.write() as session:
        return register(session, name=f"{queue}-0", hostname="here", pid=1, queue=queue, slots=1, kinds=[kind])


def last_seen(database: Database, worker_id: str, seconds_ago: float) -> None:
    with database.write() as session:
        moment = db_now(-timedelta(seconds=seconds_ago))
        session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(last_seen_at=moment))


def placed(database: Database) -> str:
    placing = Placing()
    assert placing.must_look(KIND)
    placing.look(database)
    assert not placing.must_look(KIND)
    return placing.queue_for(KIND)


def fetch(database: Database, queue: str = "cpu") -> int:
    with database.write() as session:
        return move_stranded(session, queue, QUEUES)


def test_a_job_goes_to_the_first_queue_that_has_a_worker_for_it(database: Database) -> None:
    assert placed(database) == "gpu"
    start_worker(database, "cpu")
    start_worker(database, "gpu", kind="another_kind")
    assert placed(database) == "cpu"
    gpu = start_worker(database, "gpu")
    assert placed(database) == "gpu"
    with database.write() as session:
        stopped(session, gpu)
    assert placed(database) == "cpu"


def test_a_kind_without_a_fallback_goes_to_its_default(database: Database) -> None:
    start_worker(database, "gpu", kind="check_worker")
    check = load_kinds()["check_worker"]
    placing = Placing()
    assert not placing.must_look(check)
    placing.look(database)
    assert placing.queue_for(check) == "cpu"


@pytest.mark.parametrize("seconds_ago", [30, 90])
def test_stranded_jobs_are_fetched_once_their_workers_are_gone_for_good(
    database: Database, submitted: Submitted, seconds_ago: float
) -> None:
    worker = start_worker(database, "gpu")
    jobs = [submitted(kind=KIND.name, queue="gpu", movable=True) for _ in range(3)]
    assert fetch(database) == 0
    last_seen(database, worker, seconds_ago)
    if seconds_ago < 60:
        assert fetch(database) == 0
        return
    assert fetch(database) == 3
    tags = []
    for job_id in jobs:
        job = job_row(database, job_id)
        assert (job.queue, job.state, job.hinted_at) == ("cpu", "queued", None)
        tags.append(job.fair_tag)
    assert tags == sorted(set(tags))
    with database.read() as session:
        (line,) = session.scalars(select(EventRow.data).where(EventRow.job_id == jobs[0], EventRow.type == "log"))
    assert line["message"] == "No worker of queue gpu takes the job; it goes to queue cpu."
    assert fetch(database) == 0


def test_what_was_sent_to_a_queue_by_name_and_what_runs_stays(
    database: Database, submitted: Submitted, started: Callable[..., object]
) -> None:
    named = submitted(kind=KIND.name, queue="gpu")
    started(kind=KIND.name, queue="gpu", movable=True)
    other = submitted(kind="check_worker", queue="gpu", movable=True)
    assert fetch(database) == 0
    assert [job_row(database, job_id).queue for job_id in (named, other)] == ["gpu", "gpu"]


def test_a_queue_fetches_only_what_may_run_there(database: Database, submitted: Submitted) -> None:
    submitted(kind=KIND.name, queue="gpu", movable=True)
    assert fetch(database, "h2o") == 0
