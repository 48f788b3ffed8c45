"""A job that was cancelled, or whose deadline passed, before a worker had it never starts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from db.claims import Claimant, claim
from db.due import settle_waiting
from db.engine import Database
from db.states import Reason, State, StopRequest
from db.stops import AlreadyFinal, enforce_deadlines
from tests.integration.conftest import Queued
from tests.integration.rows import ask, event_types, job_row, shift, story, wait_for
from tests.integration.worker_process import Workers, runners_of
from tests.servers import ValkeyServer
from tests.waiting import until


def test_one_whose_hint_waits_at_the_broker(
    database: Database, workers: Workers, queued: Queued, valkey: ValkeyServer
) -> None:
    cancelled, other = queued(), queued()
    assert valkey.client().llen("cpu") == 2
    assert ask(database, cancelled, StopRequest.CANCEL) is State.CANCELLED
    workers.start()
    assert wait_for(database, other).state == State.SUCCEEDED
    until(lambda: valkey.client().llen("cpu") == 0, what="a hint that was taken")
    assert (job_row(database, cancelled).state, story(database, cancelled)) == (State.CANCELLED, [])
    assert event_types(database, cancelled)[-1] == "final"


def test_one_whose_hint_a_worker_has_taken(
    database: Database, workers: Workers, queued: Queued, valkey: ValkeyServer
) -> None:
    worker = workers.start()
    (runner,) = until(lambda: runners_of(worker))
    # While its runner is not ready, a worker keeps the hint and claims nothing.
    runner.suspend()
    cancelled = queued()
    until(lambda: valkey.client().llen("cpu") == 0, what="a hint that was taken")
    assert job_row(database, cancelled).state == State.QUEUED
    assert ask(database, cancelled, StopRequest.CANCEL) is State.CANCELLED
    runner.resume()
    assert wait_for(database, queued()).state == State.SUCCEEDED
    assert (job_row(database, cancelled).state, story(database, cancelled)) == (State.CANCELLED, [])


def test_one_that_waits_for_its_time_and_those_that_wait_for_it(
    database: Database, workers: Workers, submitted: Callable[..., str]
) -> None:
    first = submitted(run_at=datetime.now(UTC) + timedelta(hours=1))
    second = submitted(after=[first])
    third = submitted(after=[second])
    assert job_row(database, first).state == State.WAITING
    assert ask(database, first, StopRequest.CANCEL) is State.CANCELLED
    workers.start()
    for job_id in (second, third):
        job = wait_for(database, job_id)
        assert (job.state, job.reason) == (State.FAILED, Reason.DEPENDENCY_FAILED)
    assert [story(database, job_id) for job_id in (first, second, third)] == [[], [], []]


def test_one_that_waits_for_another_which_goes_on(
    database: Database, submitted: Callable[..., str], claimant: Claimant
) -> None:
    first = submitted()
    second = submitted(after=[first])
    assert ask(database, second, StopRequest.CANCEL) is State.CANCELLED
    with database.write() as session:
        assert [job.id for job in claim(session, [first, second], claimant)] == [first]
        assert settle_waiting(session) == set()
    assert job_row(database, second).reason == Reason.CANCELLED_BY_USER


@pytest.mark.parametrize("request_", [StopRequest.CANCEL, StopRequest.STOP])
def test_a_second_request_after_the_end_says_how_it_ended(
    database: Database, submitted: Callable[..., str], request_: StopRequest
) -> None:
    job_id = submitted()
    assert ask(database, job_id, request_) is State.CANCELLED
    for again in (StopRequest.CANCEL, StopRequest.STOP):
        with pytest.raises(AlreadyFinal, match="cancelled"):
            ask(database, job_id, again)
    assert event_types(database, job_id).count("final") == 1


def test_one_whose_deadline_passed_can_not_be_claimed(
    database: Database, submitted: Callable[..., str], claimant: Claimant
) -> None:
    """Not even in the moment before the sweep ends it."""
    late, in_time = submitted(deadline=timedelta(hours=1)), submitted(deadline=timedelta(hours=1))
    shift(database, late, deadline_at=-0.1)
    with database.write() as session:
        assert [job.id for job in claim(session, [late, in_time], claimant)] == [in_time]
        assert enforce_deadlines(session) == 1
    assert (job_row(database, late).reason, story(database, late)) == (Reason.DEADLINE_EXCEEDED, [])


def test_one_whose_deadline_passes_behind_another(database: Database, workers: Workers, queued: Queued) -> None:
    workers.start()
    long = queued(seconds=600)
    wait_for(database, long, State.RUNNING)
    late = queued()
    shift(database, late, deadline_at=0.5)
    job = wait_for(database, late)
    assert (job.state, job.reason) == (State.FAILED, Reason.DEADLINE_EXCEEDED)
    assert job.error is not None
    assert "before it could start" in job.error["message"]
    ask(database, long, StopRequest.STOP)
    assert wait_for(database, long).state == State.SUCCEEDED
    assert story(database, late) == []
