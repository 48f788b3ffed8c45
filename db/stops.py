"""Cancel, stop and deadline: what may be asked of a job that is not final."""

from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.claims import Token
from db.clock import db_now
from db.finish import end_open_job
from db.pairs import either_pair
from db.rows import JobRow
from db.states import Reason, State, StopRequest


class AlreadyFinal(Exception):
    """The job has ended; ``args[0]`` is its state."""


def request_stop(session: Session, job: JobRow, request: StopRequest) -> State:
    """End a job that is not running at once; ask a running one to end. Returns the state after it.

    The first request wins, except that a cancel overrides a stop: who discards has no use for a best-so-far. A job
    between two attempts that has a checkpoint may have something to keep, so a stop is left to its next attempt. Raises
    ``AlreadyFinal``. The caller passes a row that it may change; it is locked here.
    """
    session.refresh(job, with_for_update=True)
    state = State(job.state)
    if state.is_final:
        raise AlreadyFinal(state)
    if state is State.RUNNING:
        if job.stop_request is None or request is StopRequest.CANCEL:
            job.stop_request = request
        session.flush()
        return state
    if request is StopRequest.STOP and (job.checkpoint is not None or job.stop_request == StopRequest.STOP):
        job.stop_request = request
        session.flush()
        return state
    if request is StopRequest.DEADLINE:
        message = "The job's deadline passed before it could start."
        return end_open_job(session, job, State.FAILED, Reason.DEADLINE_EXCEEDED, message)
    reason = Reason.STOPPED_BY_USER if request is StopRequest.STOP else Reason.CANCELLED_BY_USER
    return end_open_job(session, job, State.CANCELLED, reason)


def requests_of(session: Session, attempts: Collection[Token]) -> Mapping[Token, StopRequest]:
    """What is asked of those of the running attempts of which something is."""
    rows = session.execute(
        select(JobRow.id, JobRow.attempt, JobRow.stop_request).where(
            either_pair(JobRow.id, JobRow.attempt, [(token.job_id, token.attempt) for token in attempts]),
            JobRow.state == State.RUNNING,
            JobRow.stop_request.is_not(None),
        )
    )
    return {Token(job_id, attempt): StopRequest(request) for job_id, attempt, request in rows if request is not None}


def enforce_deadlines(session: Session, limit: int = 100) -> int:
    """Apply passed deadlines; returns to how many jobs."""
    overdue = (
        select(JobRow)
        .where(
            JobRow.state.in_((State.WAITING, State.QUEUED, State.RUNNING)),
            # SQLite takes the index of deadlines only for a condition in that index's own words.
            JobRow.deadline_at.is_not(None),
            JobRow.deadline_at < db_now(),
            (JobRow.stop_request.is_(None)) | (JobRow.state != State.RUNNING),
        )
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    jobs = session.scalars(overdue).all()
    for job in jobs:
        request_stop(session, job, StopRequest.DEADLINE)
    return len(jobs)
