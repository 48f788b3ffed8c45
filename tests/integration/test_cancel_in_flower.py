"""Flower's buttons: Revoke and Terminate cancel the job, Shut down hands jobs back, and no other does any harm."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from db.engine import Database
from db.states import State, StopRequest
from tasks.celery_app import make_app
from tests.flower_view import FlowerView, wait_until_agreed
from tests.integration.conftest import Queued
from tests.integration.flower_process import FlowerProcess
from tests.integration.rows import ask, event_types, job_row, story, wait_for
from tests.integration.worker_process import Workers, runners_of
from tests.servers import ValkeyServer
from tests.waiting import until

pytestmark = pytest.mark.processes_alone

UNKNOWN = "01a00000-0000-7000-8000-000000000000"


@pytest.fixture
def flower(tmp_path: Path, valkey: ValkeyServer, database: Database) -> Iterator[FlowerView]:
    url = database.writing_engine.url.render_as_string(hide_password=False)
    process = FlowerProcess(tmp_path, valkey.url, url)
    process.start()
    yield process.view
    process.kill()


@pytest.fixture
def celery(valkey: ValkeyServer) -> Celery:
    """As somebody at a terminal uses it, who sees the workers' replies."""
    return make_app(valkey.url)


def replies(celery: Celery, workers: int, command: str, **arguments: object) -> list[Mapping[str, str]]:
    """What each of so many workers answers."""
    found = celery.control.broadcast(command, arguments=arguments, reply=True, timeout=20, limit=workers)
    return [reply for by_worker in found for reply in by_worker.values()]


def wait_until_listening(celery: Celery, workers: int = 1) -> None:
    """A worker that is not yet there would not hear a broadcast."""
    until(lambda: len(celery.control.ping(timeout=2, limit=workers)) == workers, 60, what="the workers")


@pytest.mark.parametrize("terminate", ["false", "true"])
def test_a_queued_job_never_starts(
    database: Database, workers: Workers, queued: Queued, celery: Celery, flower: FlowerView, terminate: str
) -> None:
    workers.start()
    wait_until_listening(celery)
    running = queued(seconds=600)
    wait_for(database, running, State.RUNNING)
    waits = queued()
    answer = flower.press(f"/api/task/revoke/{waits}", terminate=terminate, signal="SIGKILL")
    assert answer.json() == {"message": f"Revoked '{waits}'"}
    job = wait_for(database, waits)
    assert (job.state, job.reason, story(database, waits)) == (State.CANCELLED, "cancelled_by_user", [])
    ask(database, running, StopRequest.STOP)
    assert wait_for(database, queued()).state == State.SUCCEEDED
    assert story(database, waits) == []
    tasks = wait_until_agreed(flower, lambda: [job_row(database, job_id) for job_id in (running, waits)])
    assert tasks[running]["state"] == "SUCCESS"


@pytest.mark.parametrize("terminate", ["false", "true"])
def test_a_running_job_ends_and_its_neighbour_goes_on(
    database: Database, workers: Workers, queued: Queued, celery: Celery, flower: FlowerView, terminate: str
) -> None:
    worker = workers.start(slots=2)
    # Every worker hears it, and the job ends once.
    workers.start()
    wait_until_listening(celery, 2)
    neighbour, job_id = queued(seconds=600), queued(seconds=600)
    for running in (neighbour, job_id):
        wait_for(database, running, State.RUNNING)
    runners = {runner.pid for runner in runners_of(worker)}
    flower.press(f"/api/task/revoke/{job_id}", terminate=terminate)
    job = wait_for(database, job_id)
    assert (job.state, job.reason) == (State.CANCELLED, "cancelled_by_user")
    assert story(database, job_id) == [(1, "cancelled", "cancelled_by_user")]
    assert event_types(database, job_id).count("final") == 1
    ask(database, neighbour, StopRequest.STOP)
    assert wait_for(database, neighbour).state == State.SUCCEEDED
    assert story(database, neighbour) == [(1, "succeeded", "stopped_by_user")]
    assert {runner.pid for runner in runners_of(worker)} == runners
    wait_until_agreed(flower, lambda: [job_row(database, running) for running in (neighbour, job_id)])


def test_several_at_once_of_which_some_are_there(
    database: Database, workers: Workers, queued: Queued, celery: Celery
) -> None:
    workers.start(slots=2)
    workers.start()
    wait_until_listening(celery, 2)
    final = queued()
    wait_for(database, final)
    running = [queued(seconds=600), queued(seconds=600)]
    for job_id in running:
        wait_for(database, job_id, State.RUNNING)
    assert len(replies(celery, 2, "terminate", task_id=[*running, final, UNKNOWN], signal="KILL")) == 2
    for job_id in running:
        wait_for(database, job_id, State.CANCELLED)
        assert story(database, job_id) == [(1, "cancelled", "cancelled_by_user")]
    assert job_row(database, final).state == State.SUCCEEDED


def test_celery_keeps_no_list_of_its_own_that_drops_hints(
    database: Database, workers: Workers, queued: Queued, celery: Celery
) -> None:
    workers.start()
    wait_until_listening(celery)
    job_id = queued(seconds=600)
    wait_for(database, job_id, State.RUNNING)
    replies(celery, 1, "revoke", task_id=[job_id, UNKNOWN], terminate=True)
    assert list(celery.control.inspect(timeout=20, limit=1).revoked().values()) == [[]]
    assert wait_for(database, job_id).state == State.CANCELLED


BUTTONS: Mapping[str, Mapping[str, Any]] = {
    "pool/shrink": {"n": 1},
    "pool/grow": {"n": 1},
    "pool/restart": {},
    "pool/autoscale": {"min": 1, "max": 2},
    "queue/cancel-consumer": {"queue": "cpu"},
    "queue/add-consumer": {"queue": "h2o"},
}


def test_what_is_not_celery_s_to_change_is_refused(
    database: Database, workers: Workers, queued: Queued, celery: Celery, flower: FlowerView
) -> None:
    workers.start()
    wait_until_listening(celery)
    name = until(flower.controllable, what="a worker in Flower")
    for button, parameters in BUTTONS.items():
        answer = flower.press(f"/api/worker/{button}/{name}", **parameters)
        assert (answer.status_code, "A Turnout worker" in answer.text) == (403, True), answer.text
    jobs = [queued(), queued()]
    assert [wait_for(database, job_id).state for job_id in jobs] == [State.SUCCEEDED] * 2


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("rate_limit", {"task_name": "check_worker", "rate_limit": "1/h"}),
        ("time_limit", {"task_name": "check_worker", "soft": 1, "hard": 1}),
    ],
)
def test_limits_are_not_celery_s(
    database: Database,
    workers: Workers,
    queued: Queued,
    celery: Celery,
    command: str,
    arguments: dict[str, Any],
) -> None:
    workers.start()
    wait_until_listening(celery)
    (reply,) = replies(celery, 1, command, **arguments)
    assert "time_limit_seconds" in reply["error"]
    for job_id in (queued(), queued(seconds=2)):
        assert wait_for(database, job_id).state == State.SUCCEEDED


def test_a_worker_that_flower_shuts_down_hands_its_job_back(
    database: Database, workers: Workers, queued: Queued, celery: Celery, flower: FlowerView
) -> None:
    worker = workers.start()
    wait_until_listening(celery)
    job_id = queued(seconds=600)
    wait_for(database, job_id, State.RUNNING)
    name = until(flower.controllable, what="a worker in Flower")
    assert flower.press(f"/api/worker/shutdown/{name}").json() == {"message": "Shutting down!"}
    assert workers.wait_for_exit(worker) == 0
    job = job_row(database, job_id)
    assert (job.state, job.failures, job.losses) == (State.QUEUED, 0, 0)
    assert story(database, job_id) == [(1, "handed_back", None)]


def test_a_wake_is_heard(database: Database, workers: Workers, celery: Celery) -> None:
    workers.start()
    wait_until_listening(celery)
    assert replies(celery, 1, "turnout_wake", job_ids=["nobody's"]) == [{"ok": "looking"}]


def test_it_agrees_with_sql_whoever_is_first(
    database: Database, workers: Workers, queued: Queued, celery: Celery, flower: FlowerView
) -> None:
    workers.start(slots=2)
    wait_until_listening(celery)
    jobs = [queued(message=str(number)) for number in range(20)]
    for number, job_id in enumerate(jobs):
        if number % 2:
            wait_for(database, job_id, State.RUNNING, State.SUCCEEDED, State.CANCELLED)
        assert flower.press(f"/api/task/revoke/{job_id}", terminate="true").is_success
    for job_id in jobs:
        job = wait_for(database, job_id)
        assert (job.state, job.result is None) in ((State.SUCCEEDED, False), (State.CANCELLED, True))
        assert event_types(database, job_id).count("final") == 1
    wait_until_agreed(flower, lambda: [job_row(database, job_id) for job_id in jobs])
