"""A broker that is gone, or cut off without a word: the work goes on without hints, and with them afterwards."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.chaos.proxy import Proxy
from db.engine import Database
from db.hints import next_hints
from db.states import State
from db.submit import NewJob, submit
from tasks.hints import HintSender
from tests.integration.conftest import Queued
from tests.integration.rows import job_row, story, wait_for
from tests.integration.worker_process import Workers, runners_of
from tests.servers import ValkeyServer, free_port
from tests.waiting import until

Submitted = Callable[..., str]


@pytest.fixture
def proxy(valkey: ValkeyServer) -> Iterator[Proxy]:
    """Between the workers and their broker."""
    proxy = Proxy(free_port(), valkey.port)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def workers(tmp_path: Path, proxy: Proxy, database: Database) -> Iterator[Workers]:
    url = database.writing_engine.url.render_as_string(hide_password=False)
    workers = Workers(tmp_path, f"redis://127.0.0.1:{proxy.port}/0", url)
    yield workers
    workers.end()


def all_succeed(database: Database, jobs: list[str]) -> None:
    for job_id in jobs:
        assert wait_for(database, job_id).state == State.SUCCEEDED
        assert story(database, job_id) == [(1, "succeeded", "completed")]


def test_while_it_says_nothing(
    database: Database, workers: Workers, queued: Queued, submitted: Submitted, valkey: ValkeyServer, proxy: Proxy
) -> None:
    workers.start(slots=2)
    all_succeed(database, [queued()])
    proxy.fall_silent()
    # The one has a hint that no worker hears, the others have none.
    all_succeed(database, [queued(seconds=1), *(submitted(spec={"kind": "check_worker"}) for _ in range(20))])
    proxy.admit()
    HintSender(valkey.url).send("cpu", [("no-such-job", "check_worker")])
    until(lambda: valkey.client().llen("cpu") == 0, 60, what="somebody who takes hints")
    all_succeed(database, [queued()])


def test_while_it_is_gone(
    database: Database, workers: Workers, queued: Queued, submitted: Submitted, valkey: ValkeyServer
) -> None:
    workers.start()
    all_succeed(database, [queued()])
    valkey.kill()
    all_succeed(database, [submitted(spec={"kind": "check_worker"}) for _ in range(20)])


def test_a_job_that_lost_its_runner_has_the_next_free_slot(
    database: Database, workers: Workers, queued: Queued
) -> None:
    worker = workers.start()
    lost = queued(seconds=2)
    until(lambda: job_row(database, lost).progress_fraction, what="progress")
    others = [queued(seconds=0.1) for _ in range(3)]
    (runner,) = runners_of(worker)
    runner.kill()
    assert wait_for(database, lost).state == State.SUCCEEDED
    assert story(database, lost) == [(1, "lost", "worker_lost"), (2, "succeeded", "completed")]
    begun = job_row(database, lost).started_at
    assert begun is not None
    for job_id in others:
        started_at = wait_for(database, job_id).started_at
        assert started_at is not None
        assert started_at > begun


def test_a_job_whose_hint_was_lost_is_handed_back_at_shutdown(
    database: Database, workers: Workers, queued: Queued, owner_id: str
) -> None:
    worker = workers.start(grace="4")
    all_succeed(database, [queued()])
    spec = {"kind": "check_worker", "seconds": 600}
    with database.write() as session:
        new = NewJob(owner_id=owner_id, kind="check_worker", queue="cpu", spec=spec, max_attempts=3)
        job_id = submit(session, new).id
        # Marked before anybody else sees it, so that nobody else sends a hint.
        assert [hint.job_id for hint in next_hints(session, "cpu")] == [job_id]
    until(lambda: job_row(database, job_id).progress_fraction is not None, what="progress")
    worker.terminate()
    assert workers.wait_for_exit(worker) == 0
    assert story(database, job_id) == [(1, "handed_back", None)]
