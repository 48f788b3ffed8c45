"""Taking queued jobs: the one guarded statement that starts an attempt."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import Table, bindparam, or_, select, update
from sqlalchemy.orm import Session

from db.clock import db_now
from db.events import NewEvent, Numbered, write_numbered
from db.fairness import pass_time
from db.row_inserts import insert_rows
from db.rows import AttemptRow, JobRow
from db.states import EventType, Outcome, State

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


# Built once, since that takes longer than running it. On PostgreSQL two claims of overlapping sets would deadlock
# without a common order of locking. The rows that are free are locked, so no condition has to be repeated, and SQLite
# would go through the backlog for one on the state.
_FREE = (
    select(JobRow.id)
    .where(
        JobRow.id.in_(bindparam("ids", expanding=True)),
        JobRow.state == State.QUEUED,
        or_(JobRow.deadline_at.is_(None), JobRow.deadline_at > db_now()),
    )
    .order_by(JobRow.id)
    .with_for_update(skip_locked=True)
).cte("free")
# By the table: with the mapped class it takes half as long again.
_JOBS = cast(Table, JobRow.__table__)
_START = (
    update(_JOBS)
    .where(_JOBS.c.id.in_(select(_FREE.c.id)))
    .values(
        state=State.RUNNING,
        reason=None,
        attempt=_JOBS.c.attempt + 1,
        worker_id=bindparam("claimant"),
        lease_expires_at=db_now(LEASE),
        hinted_at=None,
        started_at=db_now(),
        last_event_seq=_JOBS.c.last_event_seq + 1,
    )
    .returning(*_JOBS.c)
)
_FOLLOWING = (
    select(JobRow.id, JobRow.kind, JobRow.hinted_at)
    .where(JobRow.queue == bindparam("of_queue"), JobRow.state == State.QUEUED)
    .order_by(JobRow.precedence, JobRow.fair_tag, JobRow.id)
    .limit(bindparam("most"))
)


def claim(session: Session, job_ids: Sequence[str], claimant: Claimant) -> Sequence[JobRow]:
    """Start an attempt of each job that is still queued and in time; the others are left out. Leases run for ``LEASE``.

    A job whose last attempt was lost after somebody asked it to stop is claimed with its ``stop_request``. What is
    returned is a copy, which the session knows nothing of.
    """
    if not job_ids:
        return ()
    started = session.connection().execute(_START, {"ids": list(job_ids), "claimant": claimant.worker_id})
    jobs = [JobRow(**row._mapping) for row in started]
    if not jobs:
        return ()
    insert_rows(session, AttemptRow, [_attempt(job, claimant) for job in jobs])
    write_numbered(session, [_started(job) for job in jobs])
    pass_time(session, jobs)
    return jobs


def unhinted(session: Session, queue: str, kinds: Collection[str], limit: int) -> Sequence[tuple[str, str]]:
    """The (id, kind) of those of the queue's next ``limit`` jobs that are of these kinds and that the broker knows
    nothing of, in their order. They are not locked: a claim leaves out what somebody else has taken by then."""
    following = session.connection().execute(_FOLLOWING, {"of_queue": queue, "most": limit})
    return [(job_id, kind) for job_id, kind, hinted_at in following if hinted_at is None and kind in kinds]


def _attempt(job: JobRow, claimant: Claimant) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "attempt": job.attempt,
        "worker_id": claimant.worker_id,
        "worker_name": claimant.worker_name,
        "started_at": job.started_at,
        "outcome": Outcome.RUNNING,
    }


def _started(job: JobRow) -> Numbered:
    if job.started_at is None:
        raise ValueError(f"job {job.id} was claimed and has no start")
    told = NewEvent(EventType.STATE, {"state": State.RUNNING, "attempt": job.attempt})
    return Numbered(job.id, job.attempt, job.last_event_seq, job.started_at, (told,))
