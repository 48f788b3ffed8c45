"""Taking queued jobs: the one guarded statement that starts an attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import insert, or_, select, update
from sqlalchemy.orm import Session

from db.clock import db_now
from db.events import append_state
from db.fairness import pass_time
from db.rows import AttemptRow, JobRow
from db.states import Outcome, State

LEASE = timedelta(seconds=10)


@dataclass(frozen=True)
class Token:
    """An attempt's right to write: its number is compared in every statement (a fencing token)."""

    job_id: str
    attempt: int


class Fenced(Exception):
    """The job is no longer running this attempt, so nothing was written."""


@dataclass(frozen=True)
class Claimant:
    """The worker that claims, as attempts remember it."""

    worker_id: str
    worker_name: str


def claim(session: Session, job_ids: Sequence[str], claimant: Claimant) -> Sequence[JobRow]:
    """Start an attempt of each job that is still queued and in time; the others are left out. Leases run for ``LEASE``.

    A job whose last attempt was lost after somebody asked it to stop is claimed with its ``stop_request``.
    """
    # On PostgreSQL two claims of overlapping sets would deadlock without a common order of locking.
    in_time = or_(JobRow.deadline_at.is_(None), JobRow.deadline_at > db_now())
    free = select(JobRow.id).where(JobRow.id.in_(job_ids), JobRow.state == State.QUEUED, in_time).order_by(JobRow.id)
    ids = session.scalars(free.with_for_update(skip_locked=True)).all()
    if not ids:
        return ()
    jobs = session.scalars(
        update(JobRow)
        .where(JobRow.id.in_(ids), JobRow.state == State.QUEUED)
        .values(
            state=State.RUNNING,
            reason=None,
            attempt=JobRow.attempt + 1,
            worker_id=claimant.worker_id,
            lease_expires_at=db_now(LEASE),
            hinted_at=None,
            started_at=db_now(),
        )
        .returning(JobRow)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).all()
    for job in jobs:
        session.execute(
            insert(AttemptRow).values(
                job_id=job.id,
                attempt=job.attempt,
                worker_id=claimant.worker_id,
                worker_name=claimant.worker_name,
                outcome=Outcome.RUNNING,
                metrics={},
            )
        )
        append_state(session, job.id, attempt=job.attempt, state=State.RUNNING)
    pass_time(session, jobs)
    return jobs
