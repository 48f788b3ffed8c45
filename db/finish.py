"""How an attempt ends. The first committed transaction wins: success requires that no cancel was requested, and every
ending requires that the attempt is still the one that runs."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from db.claims import Fenced, Token
from db.clock import db_now
from db.events import NewEvent, append, append_state
from db.rows import AttemptRow, JobRow
from db.states import EventType, Outcome, Reason, State, StopRequest

MAX_LOSSES = 5
# Who asked for one of these has no use for what the attempt may have found. A stop keeps the best so far, so an attempt
# that ended without it is followed by another, which is claimed with the request.
_DISCARDING = (StopRequest.CANCEL, StopRequest.DEADLINE)
_FIRST_BACKOFF = timedelta(seconds=2)
_LONGEST_BACKOFF = timedelta(minutes=5)


def lock_running(session: Session, token: Token) -> JobRow:
    """The job's row, locked, if it still runs this attempt; else raises ``Fenced``."""
    job = session.get(JobRow, token.job_id, with_for_update=True, populate_existing=True)
    if job is None or job.attempt != token.attempt or job.state != State.RUNNING:
        raise Fenced(f"job {token.job_id} no longer runs attempt {token.attempt}")
    return job


def succeed(session: Session, token: Token, result: Mapping[str, Any], metrics: Mapping[str, Any]) -> State:
    """Commit the result, unless a cancel came first: then the result is discarded. Returns the job's new state."""
    job = lock_running(session, token)
    if job.stop_request in _DISCARDING:
        return _end_as_requested(session, job, metrics)
    reason = Reason.STOPPED_BY_USER if job.stop_request == StopRequest.STOP else Reason.COMPLETED
    job.result = dict(result)
    job.progress_fraction, job.progress_eta_seconds = 1.0, 0.0
    _close_attempt(session, job, Outcome.SUCCEEDED, reason, None, metrics)
    return _end(session, job, State.SUCCEEDED, reason)


def fail(
    session: Session,
    token: Token,
    *,
    reason: Reason,
    message: str,
    retryable: bool,
    metrics: Mapping[str, Any],
    retry_after: timedelta | None = None,
) -> State:
    """End the attempt by the job's own failure: another attempt after a pause if that may help, else the end."""
    job = lock_running(session, token)
    if job.stop_request in _DISCARDING:
        return _end_as_requested(session, job, metrics)
    _close_attempt(session, job, Outcome.FAILED, reason, message, metrics)
    job.failures += 1
    error = {"code": reason, "message": message}
    if not retryable:
        return _end(session, job, State.FAILED, reason, error)
    if job.failures >= job.max_attempts:
        last = Reason.RETRIES_EXHAUSTED if job.max_attempts > 1 else reason
        return _end(session, job, State.FAILED, last, error)
    pause = retry_after or min(_FIRST_BACKOFF * 2 ** (job.failures - 1), _LONGEST_BACKOFF)
    return _requeue(session, job, reason, after=pause)


def end_cancelled(session: Session, token: Token, metrics: Mapping[str, Any]) -> State:
    """End the attempt because it noticed the request to; raises ``Fenced`` if nothing was requested."""
    job = lock_running(session, token)
    if job.stop_request is None:
        raise Fenced(f"nobody asked job {token.job_id} to end")
    return _end_as_requested(session, job, metrics)


def lose(
    session: Session,
    token: Token,
    *,
    cause: str,
    reason: Reason = Reason.WORKER_LOST,
    metrics: Mapping[str, Any] | None = None,
) -> State:
    """End the attempt because what it ran on died: its worker, its runner or its cluster. Counts towards
    ``MAX_LOSSES``, not as the job's failure; many jobs may share a cluster that one of them brought down."""
    job = lock_running(session, token)
    if job.stop_request in _DISCARDING:
        return _end_as_requested(session, job, {})
    _close_attempt(session, job, Outcome.LOST, reason, cause, metrics or {})
    job.losses += 1
    if job.losses >= MAX_LOSSES:
        message = f"The job lost what it ran on {job.losses} times; last: {cause}"
        return _end(session, job, State.FAILED, reason, {"code": reason, "message": message})
    # A worker that is gone takes no jobs, but a cluster that is gone needs time to come back.
    pause = None if reason is Reason.WORKER_LOST else _FIRST_BACKOFF * 2 ** (job.losses - 1)
    return _requeue(session, job, reason, after=pause)


def hand_back(session: Session, token: Token, cause: str = "The worker was shut down.") -> State:
    """End the attempt because its worker shuts down or has no room for it after all; counts as nothing."""
    job = lock_running(session, token)
    if job.stop_request in _DISCARDING:
        return _end_as_requested(session, job, {})
    _close_attempt(session, job, Outcome.HANDED_BACK, None, cause, {})
    return _requeue(session, job, None)


def start_over(session: Session, token: Token, cause: str) -> State:
    """As ``hand_back``, for a job whose runner was ended for another job's sake; its events say so."""
    job = lock_running(session, token)
    append(session, job.id, job.attempt, [NewEvent(EventType.LOG, {"level": "warning", "message": cause})])
    return hand_back(session, token, cause)


def end_open_job(session: Session, job: JobRow, state: State, reason: Reason, message: str | None = None) -> State:
    """End a job that is not running; the caller holds its row lock."""
    return _end(session, job, state, reason, None if message is None else {"code": reason, "message": message})


def _end_as_requested(session: Session, job: JobRow, metrics: Mapping[str, Any]) -> State:
    reason = {
        StopRequest.CANCEL: Reason.CANCELLED_BY_USER,
        StopRequest.STOP: Reason.STOPPED_BY_USER,
        StopRequest.DEADLINE: Reason.DEADLINE_EXCEEDED,
    }[StopRequest(job.stop_request or "")]
    if reason is Reason.DEADLINE_EXCEEDED:
        _close_attempt(session, job, Outcome.FAILED, reason, None, metrics)
        error = {"code": reason, "message": "The job's deadline passed while it was running."}
        return _end(session, job, State.FAILED, reason, error)
    _close_attempt(session, job, Outcome.CANCELLED, reason, None, metrics)
    return _end(session, job, State.CANCELLED, reason)


def _end(session: Session, job: JobRow, state: State, reason: Reason, error: dict[str, Any] | None = None) -> State:
    job.state, job.reason, job.error = state, reason, error
    job.finished_at = db_now()
    job.lease_expires_at, job.hinted_at = None, None
    session.flush()
    append_state(session, job.id, attempt=job.attempt, state=state, reason=reason, error=error)
    return state


def _requeue(session: Session, job: JobRow, reason: Reason | None, after: timedelta | None = None) -> State:
    job.state = State.QUEUED if after is None else State.WAITING
    job.reason = reason
    job.run_at = None if after is None else db_now(after)
    job.lease_expires_at, job.hinted_at, job.worker_id = None, None, None
    job.queued_at = db_now()
    session.flush()
    append_state(session, job.id, attempt=job.attempt, state=State(job.state), reason=reason)
    return State(job.state)


def _close_attempt(
    session: Session,
    job: JobRow,
    outcome: Outcome,
    reason: Reason | None,
    cause: str | None,
    metrics: Mapping[str, Any],
) -> None:
    job.metrics = {**job.metrics, **metrics}
    session.execute(
        update(AttemptRow)
        .where(AttemptRow.job_id == job.id, AttemptRow.attempt == job.attempt)
        .values(ended_at=db_now(), outcome=outcome, reason=reason, cause=cause, metrics=dict(metrics))
    )
