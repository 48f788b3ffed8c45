from collections.abc import Callable
from datetime import timedelta

import pytest

from db import finish
from db.attempt_writes import save_checkpoint
from db.claims import Claimant, Token, claim
from db.cleanup import Cleanup, cleanup_done, cleanup_failed, take_cleanup
from db.clock import read_now
from db.due import settle_waiting
from db.engine import Database
from db.jobs import find
from db.leases import expire_lapsed, renew
from db.states import Reason, State, StopRequest
from db.stops import AlreadyFinal, enforce_deadlines
from tests.integration.rows import ask, event_types, job_row, shift, story


def fail(database: Database, token: Token, *, retryable: bool) -> State:
    with database.write() as session:
        return finish.fail(
            session, token, reason=Reason.UPSTREAM_ERROR, message="no answer", retryable=retryable, metrics={}
        )


def test_a_result_is_committed_with_its_final_event(database: Database, started: Callable[..., Token]) -> None:
    token = started()
    with database.write() as session:
        assert finish.succeed(session, token, {"answer": 42}, {"run_seconds": 1.5}) is State.SUCCEEDED
    job = job_row(database, token.job_id)
    assert (job.result, job.reason, job.metrics) == ({"answer": 42}, Reason.COMPLETED, {"run_seconds": 1.5})
    assert job.finished_at is not None
    assert event_types(database, token.job_id)[-2:] == ["state", "final"]


def test_a_cancel_that_came_first_discards_the_result(database: Database, started: Callable[..., Token]) -> None:
    token = started()
    assert ask(database, token.job_id, StopRequest.CANCEL) is State.RUNNING
    with database.write() as session:
        assert finish.succeed(session, token, {"answer": 42}, {}) is State.CANCELLED
    job = job_row(database, token.job_id)
    assert (job.result, job.reason) == (None, Reason.CANCELLED_BY_USER)


def test_a_cancel_that_came_second_is_refused(database: Database, started: Callable[..., Token]) -> None:
    token = started()
    with database.write() as session:
        finish.succeed(session, token, {}, {})
    with pytest.raises(AlreadyFinal, match="succeeded"):
        ask(database, token.job_id, StopRequest.CANCEL)


def test_a_stop_keeps_the_result(database: Database, started: Callable[..., Token]) -> None:
    token = started()
    ask(database, token.job_id, StopRequest.STOP)
    with database.write() as session:
        assert finish.succeed(session, token, {"best": 1}, {}) is State.SUCCEEDED
    assert job_row(database, token.job_id).reason == Reason.STOPPED_BY_USER


def test_a_cancelled_queued_job_can_not_be_claimed(
    database: Database, submitted: Callable[..., str], claimant: Claimant
) -> None:
    job_id = submitted()
    assert ask(database, job_id, StopRequest.CANCEL) is State.CANCELLED
    with database.write() as session:
        assert claim(session, [job_id], claimant) == ()


def test_failures_are_tried_again_up_to_the_cap(database: Database, started: Callable[..., Token]) -> None:
    token = started(max_attempts=2)
    assert fail(database, token, retryable=True) is State.WAITING
    shift(database, token.job_id, run_at=-1)
    with database.write() as session:
        assert settle_waiting(session) == {"cpu"}
        claim(session, [token.job_id], Claimant("w", "w"))
    assert fail(database, Token(token.job_id, 2), retryable=True) is State.FAILED
    job = job_row(database, token.job_id)
    assert (job.reason, job.error) == (
        Reason.RETRIES_EXHAUSTED,
        {"code": Reason.UPSTREAM_ERROR, "message": "no answer"},
    )


def test_a_permanent_failure_is_final(database: Database, started: Callable[..., Token]) -> None:
    token = started(max_attempts=5)
    assert fail(database, token, retryable=False) is State.FAILED
    assert job_row(database, token.job_id).reason == Reason.UPSTREAM_ERROR


def test_losses_have_their_own_cap(database: Database, started: Callable[..., Token]) -> None:
    token = started(max_attempts=1)
    for attempt in range(1, finish.MAX_LOSSES + 1):
        shift(database, token.job_id, lease_expires_at=-1)
        with database.write() as session:
            assert expire_lapsed(session) == [Token(token.job_id, attempt)]
            claim(session, [token.job_id], Claimant("w", "w"))
    job = job_row(database, token.job_id)
    assert (job.state, job.reason, job.failures) == (State.FAILED, Reason.WORKER_LOST, 0)
    assert story(database, token.job_id) == [(n, "lost", "worker_lost") for n in range(1, finish.MAX_LOSSES + 1)]


def test_a_hand_back_counts_nothing(database: Database, started: Callable[..., Token]) -> None:
    token = started(max_attempts=1)
    with database.write() as session:
        assert finish.hand_back(session, token) is State.QUEUED
    job = job_row(database, token.job_id)
    assert (job.failures, job.losses, job.worker_id) == (0, 0, None)


def test_a_lapsed_lease_that_nobody_took_is_renewed(
    database: Database, started: Callable[..., Token], claimant: Claimant
) -> None:
    token = started()
    shift(database, token.job_id, lease_expires_at=-60)
    with database.write() as session:
        assert renew(session, claimant.worker_id, [token]) == {token: None}
        assert expire_lapsed(session) == []


def test_a_renewal_tells_what_was_asked(database: Database, started: Callable[..., Token], claimant: Claimant) -> None:
    token = started()
    ask(database, token.job_id, StopRequest.STOP)
    with database.write() as session:
        assert renew(session, claimant.worker_id, [token]) == {token: StopRequest.STOP}
    ask(database, token.job_id, StopRequest.CANCEL)
    with database.write() as session:
        assert renew(session, claimant.worker_id, [token]) == {token: StopRequest.CANCEL}


def test_a_lost_worker_s_job_is_cancelled_if_that_was_asked(database: Database, started: Callable[..., Token]) -> None:
    token = started()
    ask(database, token.job_id, StopRequest.CANCEL)
    shift(database, token.job_id, lease_expires_at=-1)
    with database.write() as session:
        expire_lapsed(session)
    assert job_row(database, token.job_id).state == State.CANCELLED


def lose(database: Database, token: Token) -> None:
    shift(database, token.job_id, lease_expires_at=-1)
    with database.write() as session:
        assert expire_lapsed(session) == [token]


def hand_back(database: Database, token: Token) -> None:
    with database.write() as session:
        finish.hand_back(session, token)


def fail_for_now(database: Database, token: Token) -> None:
    fail(database, token, retryable=True)
    shift(database, token.job_id, run_at=-1)
    with database.write() as session:
        settle_waiting(session)


@pytest.mark.parametrize("end", [lose, hand_back, fail_for_now])
def test_a_stop_outlives_an_attempt_that_could_not_keep_its_best(
    database: Database, started: Callable[..., Token], claimant: Claimant, end: Callable[[Database, Token], None]
) -> None:
    token = started()
    ask(database, token.job_id, StopRequest.STOP)
    end(database, token)
    with database.write() as session:
        (job,) = claim(session, [token.job_id], claimant)
    again = Token(job.id, job.attempt)
    assert job.stop_request == StopRequest.STOP
    with database.write() as session:
        assert renew(session, claimant.worker_id, [again]) == {again: StopRequest.STOP}
        assert finish.succeed(session, again, {"best": 1}, {}) is State.SUCCEEDED
    assert job_row(database, token.job_id).reason == Reason.STOPPED_BY_USER


def test_a_stopped_job_that_fails_for_good_says_why(database: Database, started: Callable[..., Token]) -> None:
    token = started()
    ask(database, token.job_id, StopRequest.STOP)
    assert fail(database, token, retryable=False) is State.FAILED
    assert job_row(database, token.job_id).reason == Reason.UPSTREAM_ERROR


def test_a_stopped_job_without_a_worker_can_still_be_cancelled_or_too_late(
    database: Database, started: Callable[..., Token]
) -> None:
    cancelled, late = started(), started(deadline=timedelta(hours=1))
    for token in (cancelled, late):
        ask(database, token.job_id, StopRequest.STOP)
        hand_back(database, token)
        assert ask(database, token.job_id, StopRequest.STOP) is State.QUEUED
    assert ask(database, cancelled.job_id, StopRequest.CANCEL) is State.CANCELLED
    shift(database, late.job_id, deadline_at=-1)
    with database.write() as session:
        assert enforce_deadlines(session) == 1
    assert job_row(database, late.job_id).reason == Reason.DEADLINE_EXCEEDED


def test_a_stop_between_two_attempts_leaves_it_to_the_next_to_keep_the_best(
    database: Database, started: Callable[..., Token]
) -> None:
    with_best, without = started(), started()
    with database.write() as session:
        save_checkpoint(session, with_best, {"model": "m"}, cleanup_needed=True)
    for token in (with_best, without):
        lose(database, token)
    assert ask(database, with_best.job_id, StopRequest.STOP) is State.QUEUED
    assert job_row(database, with_best.job_id).stop_request == StopRequest.STOP
    assert ask(database, without.job_id, StopRequest.STOP) is State.CANCELLED


def test_a_clean_up_that_fails_is_tried_ever_more_rarely(database: Database, started: Callable[..., Token]) -> None:
    token = started()
    with database.write() as session:
        save_checkpoint(session, token, {}, cleanup_needed=True)
        finish.succeed(session, token, {}, {})
    pauses = []
    for _ in range(9):
        with database.write() as session:
            cleanup_failed(session, token.job_id)
            now = read_now(session)
        after = job_row(database, token.job_id).cleanup_after
        assert after is not None
        pauses.append(round((after - now).total_seconds()))
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 600, 600]
    with database.write() as session:
        assert take_cleanup(session, "cpu") is None
    shift(database, token.job_id, cleanup_after=-1)
    with database.write() as session:
        assert take_cleanup(session, "cpu") == Cleanup(token.job_id, "check_worker", {})
        cleanup_done(session, token.job_id)
    assert job_row(database, token.job_id).cleanup_failures == 0


def test_deadlines(database: Database, submitted: Callable[..., str], started: Callable[..., Token]) -> None:
    queued, running = submitted(deadline=timedelta(hours=1)), started(deadline=timedelta(hours=1))
    late = [queued, running.job_id]
    for job_id in late:
        shift(database, job_id, deadline_at=-1)
    submitted(deadline=timedelta(hours=1))
    with database.write() as session:
        assert enforce_deadlines(session) == len(late)
    assert job_row(database, queued).reason == Reason.DEADLINE_EXCEEDED
    assert job_row(database, running.job_id).stop_request == StopRequest.DEADLINE
    with database.write() as session:
        assert finish.end_cancelled(session, running, {}) is State.FAILED
    assert job_row(database, running.job_id).reason == Reason.DEADLINE_EXCEEDED


def test_a_job_follows_the_job_it_waits_for(
    database: Database, submitted: Callable[..., str], started: Callable[..., Token]
) -> None:
    first = started()
    second = submitted(after=[first.job_id])
    with database.write() as session:
        assert settle_waiting(session) == set()
        finish.succeed(session, first, {}, {})
        assert settle_waiting(session) == {"cpu"}
    assert job_row(database, second).state == State.QUEUED


def test_a_job_fails_with_the_job_it_waits_for(
    database: Database, submitted: Callable[..., str], started: Callable[..., Token]
) -> None:
    first = started()
    second = submitted(after=[first.job_id])
    third = submitted(after=[second])
    fail(database, first, retryable=False)
    for _ in range(2):
        with database.write() as session:
            settle_waiting(session)
    for job_id, awaited in ((second, first.job_id), (third, second)):
        job = job_row(database, job_id)
        assert (job.state, job.reason) == (State.FAILED, Reason.DEPENDENCY_FAILED)
        assert awaited in job.error["message"]  # type: ignore[index]


def test_another_owner_s_job_is_not_found(database: Database, submitted: Callable[..., str], owner_id: str) -> None:
    job_id = submitted()
    with database.read() as session:
        assert find(session, job_id, "somebody else") is None
        assert find(session, job_id, owner_id) is not None
        assert find(session, job_id, None) is not None


def test_a_lost_cluster_is_no_failure_of_the_job(database: Database, started: Callable[..., Token]) -> None:
    token = started(max_attempts=1)
    with database.write() as session:
        state = finish.lose(session, token, cause="The cluster died.", reason=Reason.CLUSTER_LOST)
    job = job_row(database, token.job_id)
    assert (state, job.failures, job.losses, job.reason) == (State.WAITING, 0, 1, Reason.CLUSTER_LOST)
    assert job.run_at is not None
    assert story(database, token.job_id) == [(1, "lost", "cluster_lost")]
