"""A cancel and an end at the same moment: one of them wins, and everything agrees which."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from db import finish
from db.claims import Token
from db.engine import Database
from db.states import Reason, State, StopRequest
from db.stops import AlreadyFinal
from tests.integration.conftest import Queued
from tests.integration.rows import ask, event_types, job_row, story, wait_for
from tests.integration.worker_process import Workers

ROUNDS = 60


def ask_or_hear(database: Database, job_id: str, request: StopRequest) -> State:
    """The state that the request found or made."""
    try:
        return ask(database, job_id, request)
    except AlreadyFinal as exc:
        return State(exc.args[0])


def succeed(database: Database, token: Token) -> State:
    with database.write() as session:
        return finish.succeed(session, token, {"answer": 42}, {})


def test_a_cancel_and_a_result(database: Database, started: Callable[..., Token]) -> None:
    with ThreadPoolExecutor(2) as pool:
        for _ in range(ROUNDS):
            token, together = started(), threading.Barrier(2)

            def at_once(call: Callable[[], State], together: threading.Barrier = together) -> State:
                together.wait()
                return call()

            cancel = pool.submit(at_once, lambda: ask_or_hear(database, token.job_id, StopRequest.CANCEL))  # noqa: B023
            end = pool.submit(at_once, lambda: succeed(database, token))  # noqa: B023
            heard, state = cancel.result(), end.result()
            job = job_row(database, token.job_id)
            assert job.state == state
            if state is State.SUCCEEDED:
                assert (heard, job.reason, job.result) == (State.SUCCEEDED, Reason.COMPLETED, {"answer": 42})
                assert story(database, job.id) == [(1, "succeeded", "completed")]
            else:
                assert (heard, job.reason, job.result) == (State.RUNNING, Reason.CANCELLED_BY_USER, None)
                assert story(database, job.id) == [(1, "cancelled", "cancelled_by_user")]
            assert event_types(database, job.id).count("final") == 1


def test_many_cancels_at_once_are_one(database: Database, submitted: Callable[..., str]) -> None:
    """As when every worker hears the same Revoke."""
    for _ in range(10):
        job_id, together = submitted(), threading.Barrier(6)

        def cancel(_number: int, job_id: str = job_id, together: threading.Barrier = together) -> bool:
            together.wait()
            try:
                return ask(database, job_id, StopRequest.CANCEL) is State.CANCELLED
            except AlreadyFinal:
                return False

        with ThreadPoolExecutor(6) as pool:
            assert sorted(pool.map(cancel, range(6))) == [False] * 5 + [True]
        assert event_types(database, job_id).count("final") == 1


def test_cancels_while_jobs_start_run_and_end(database: Database, workers: Workers, queued: Queued) -> None:
    workers.start(slots=2)
    jobs = [queued(message=str(number)) for number in range(30)]
    told = {}
    for number, job_id in enumerate(jobs):
        if number % 3 == 0:
            wait_for(database, job_id, State.RUNNING, State.SUCCEEDED)
        told[job_id] = ask_or_hear(database, job_id, StopRequest.CANCEL)
    for job_id, heard in told.items():
        job = wait_for(database, job_id)
        # A cancel that was accepted holds, one that was refused named the end.
        expected = State.CANCELLED if heard in (State.RUNNING, State.CANCELLED) else State.SUCCEEDED
        assert job.state == expected
        assert (job.result is None) is (expected is State.CANCELLED)
        assert len(story(database, job_id)) == (0 if heard is State.CANCELLED else 1)
        assert event_types(database, job_id).count("final") == 1
