"""Leases: a worker's right to run an attempt until a moment on the database's clock."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.claims import LEASE, Token
from db.clock import db_now
from db.finish import lose
from db.pairs import either_pair
from db.rows import JobRow, WorkerRow
from db.states import State


def renew(session: Session, worker_id: str, held: Collection[Token]) -> Mapping[Token, str | None]:
    """Prolong the leases of one worker, all in one statement. Returns those that hold, each with what was asked of the
    job (a ``StopRequest`` or None). A missing token means that the attempt was ended by somebody else.

    A lapsed lease that nobody took is prolonged like any other.
    """
    if not held:
        return {}
    # The attempt alone would do as a guard; the worker's id makes a mixed-up caller visible. Without a common order of
    # locking a renewal and a commit of results would deadlock on PostgreSQL.
    running = (
        select(JobRow.id)
        .where(
            either_pair(JobRow.id, JobRow.attempt, [(token.job_id, token.attempt) for token in held]),
            JobRow.state == State.RUNNING,
            JobRow.worker_id == worker_id,
        )
        .order_by(JobRow.id)
        .with_for_update(key_share=True)
        .cte("running")
    )
    rows = session.execute(
        update(JobRow)
        .where(JobRow.id.in_(select(running.c.id)))
        .values(lease_expires_at=db_now(LEASE))
        .returning(JobRow.id, JobRow.attempt, JobRow.stop_request)
        .execution_options(synchronize_session=False)
    )
    return {Token(job_id, attempt): stop_request for job_id, attempt, stop_request in rows}


def expire_lapsed(session: Session, limit: int = 100, *, by: datetime | None = None) -> Sequence[Token]:
    """End the attempts whose lease had lapsed ``by`` that moment (None: by now). Only the sweep calls this, not soon
    after an outage of the database, and with the moment when it last saw the database: should that stand still just
    before this statement, the leases that lapse meanwhile are no worker's fault."""
    lapsed = (
        select(JobRow.id, JobRow.attempt, WorkerRow.name)
        .outerjoin(WorkerRow, WorkerRow.id == JobRow.worker_id)
        # SQLite takes the index of leases only for a condition in that index's own words.
        .where(JobRow.state == State.RUNNING, JobRow.lease_expires_at.is_not(None))
        .where(JobRow.lease_expires_at < (by or db_now()))
        .order_by(JobRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=JobRow)
    )
    return [
        _lose(session, job_id, attempt, f"Worker {name or 'unknown'} gave no sign of life for {LEASE.seconds} s.")
        for job_id, attempt, name in session.execute(lapsed).all()
    ]


def end_left_behind(session: Session, worker_id: str, hostname: str) -> Sequence[Token]:
    """End the attempts of a worker of this machine that is known to have died, without waiting for their leases."""
    left = (
        select(JobRow.id, JobRow.attempt, WorkerRow.name)
        .join(WorkerRow, WorkerRow.id == JobRow.worker_id)
        .where(WorkerRow.id == worker_id, WorkerRow.hostname == hostname)
        .where(JobRow.state == State.RUNNING, JobRow.lease_expires_at.is_not(None))
        .order_by(JobRow.id)
        .with_for_update(skip_locked=True, of=JobRow)
    )
    return [
        _lose(session, job_id, attempt, f"Worker {name} died.") for job_id, attempt, name in session.execute(left).all()
    ]


def _lose(session: Session, job_id: str, attempt: int, cause: str) -> Token:
    token = Token(job_id, attempt)
    lose(session, token, cause=cause)
    return token
