"""Whatever a runner is doing, a cancel, a time limit and a deadline end it; its neighbours notice nothing."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from db.engine import Database
from db.states import State, StopRequest
from tasks.hints import HintSender
from tasks.wakes import WakeSender
from tests.integration.rows import ask, job_row, story, wait_for
from tests.integration.worker_process import Workers, runners_of
from tests.processes import lives
from tests.servers import ValkeyServer
from tests.waiting import until

pytestmark = pytest.mark.processes_alone

KIND = "misbehave_badly"
# The last one alone has to be killed.
HOWS = ("sleep", "spin in C", "wait for a socket", "ignore SIGTERM")


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the workers that a test starts."""
    monkeypatch.setenv("TURNOUT_GRACE", "PT1S")


@pytest.fixture
def hint(valkey: ValkeyServer) -> Callable[[str, str], None]:
    sender = HintSender(valkey.url)
    return lambda job_id, kind: sender.send("cpu", [(job_id, kind)])


def steps(workers: Workers, job_id: str) -> list[str]:
    """Which signals the worker sent to the job's runner, in their order."""
    text = (workers.home / "workers.log").read_text()
    return re.findall(rf"event=(runner_terminate|runner_kill) job_id={job_id}", text)


@pytest.mark.parametrize(
    ("way", "limits", "state", "reason"),
    [
        ("cancel", {}, State.CANCELLED, "cancelled_by_user"),
        ("time limit", {"time_limit": timedelta(seconds=4)}, State.FAILED, "timed_out"),
        ("deadline", {"deadline": timedelta(seconds=12)}, State.FAILED, "deadline_exceeded"),
    ],
)
def test_a_runner_ends_whatever_it_is_doing(
    database: Database,
    workers: Workers,
    submitted: Callable[..., str],
    hint: Callable[[str, str], None],
    valkey: ValkeyServer,
    way: str,
    limits: dict[str, timedelta],
    state: State,
    reason: str,
) -> None:
    worker = workers.start(slots=len(HOWS) + 1)
    runners = until(lambda: len(found := runners_of(worker)) == len(HOWS) + 1 and found, what="the runners")
    neighbour = submitted(spec={"kind": "check_worker", "seconds": 600})
    hint(neighbour, "check_worker")
    jobs = {how: submitted(kind=KIND, spec={"kind": KIND, "how": how}, **limits) for how in HOWS}
    for job_id in jobs.values():
        hint(job_id, KIND)
    for job_id in jobs.values():
        until(lambda job_id=job_id: job_row(database, job_id).progress_fraction, what="progress")
    if way == "cancel":
        for job_id in jobs.values():
            assert ask(database, job_id, StopRequest.CANCEL) is State.RUNNING
        WakeSender(valkey.url).send(list(jobs.values()))

    for how, job_id in jobs.items():
        job = wait_for(database, job_id)
        assert (job.state, job.reason, job.result) == (state, reason, None), how
        assert [attempt[0] for attempt in story(database, job_id)] == [1]
        expected = ["runner_terminate", "runner_kill"] if how == "ignore SIGTERM" else ["runner_terminate"]
        assert steps(workers, job_id) == expected, how
    heard = workers.home / "scratch" / f"{jobs['ignore SIGTERM']}.heard"
    assert heard.read_text().split() == ["ready", "asked", "SIGTERM"]
    until(lambda: sum(not lives(runner) for runner in runners) == len(HOWS), what="the end of the runners")

    # Every slot is of use again, and the one runner that is left is the neighbour's.
    (left,) = [runner for runner in runners if lives(runner)]
    again = [submitted(spec={"kind": "check_worker", "message": "again", "seconds": 1}) for _ in HOWS]
    for job_id in again:
        hint(job_id, "check_worker")
    for job_id in again:
        assert wait_for(database, job_id).state == State.SUCCEEDED
        assert story(database, job_id) == [(1, "succeeded", "completed")]
    assert ask(database, neighbour, StopRequest.STOP) is State.RUNNING
    assert wait_for(database, neighbour).state == State.SUCCEEDED
    assert story(database, neighbour) == [(1, "succeeded", "stopped_by_user")]
    assert left in runners_of(worker)


def test_a_stop_of_what_keeps_nothing_ends_it_as_stopped(
    database: Database, workers: Workers, submitted: Callable[..., str], hint: Callable[[str, str], None]
) -> None:
    workers.start()
    job_id = submitted(kind=KIND, spec={"kind": KIND, "how": "nothing to keep"})
    hint(job_id, KIND)
    wait_for(database, job_id, State.RUNNING)
    ask(database, job_id, StopRequest.STOP)
    job = wait_for(database, job_id)
    assert (job.state, job.reason, job.result) == (State.CANCELLED, "stopped_by_user", None)


def test_a_cancel_does_not_wait_for_a_stop_that_is_not_heeded(
    database: Database, workers: Workers, submitted: Callable[..., str], hint: Callable[[str, str], None]
) -> None:
    """A stop has ten minutes to keep the best so far."""
    workers.start()
    job_id = submitted(kind=KIND, spec={"kind": KIND, "how": "ignore SIGTERM"})
    hint(job_id, KIND)
    heard = workers.home / "scratch" / f"{job_id}.heard"
    until(lambda: heard.exists() and "ready" in heard.read_text(), what="a job that ignores everything")
    ask(database, job_id, StopRequest.STOP)
    until(lambda: "asked" in heard.read_text(), what="the stop")
    assert ask(database, job_id, StopRequest.CANCEL) is State.RUNNING
    job = wait_for(database, job_id)
    assert (job.state, job.reason) == (State.CANCELLED, "cancelled_by_user")
    assert heard.read_text().split() == ["ready", "asked", "SIGTERM"]


def test_a_worker_that_shuts_down_does_not_wait_for_a_stop_that_is_not_heeded(
    database: Database, workers: Workers, submitted: Callable[..., str], hint: Callable[[str, str], None]
) -> None:
    worker = workers.start()
    job_id = submitted(kind=KIND, spec={"kind": KIND, "how": "ignore SIGTERM"})
    hint(job_id, KIND)
    heard = workers.home / "scratch" / f"{job_id}.heard"
    until(lambda: heard.exists() and "ready" in heard.read_text(), what="a job that ignores everything")
    ask(database, job_id, StopRequest.STOP)
    until(lambda: "asked" in heard.read_text(), what="the stop")
    worker.terminate()
    assert workers.wait_for_exit(worker) == 0
    # Its next attempt is the one to keep the best so far.
    job = job_row(database, job_id)
    assert (job.state, job.stop_request) == (State.QUEUED, StopRequest.STOP)
    assert story(database, job_id) == [(1, "handed_back", None)]
