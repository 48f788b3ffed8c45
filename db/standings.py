"""Where jobs stand, for monitors that keep a picture of their own and must not let it go wrong."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from db.clock import read_now
from db.rows import AttemptRow, JobRow, WorkerRow
from db.states import State

_AT_ONCE = 500


@dataclass(frozen=True)
class Standing:
    """One job and its newest attempt, which was ``started_at`` and ``ended_at`` and whose ``worker`` is ``name@host``.
    ``message`` says why the job failed, or why it will have to run again."""

    job_id: str
    kind: str
    state: State
    attempt: int
    worker: str | None
    message: str | None
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    finished_at: datetime | None


def standings(session: Session, job_ids: Collection[str]) -> Sequence[Standing]:
    """Where these jobs stand, the oldest first; those that don't exist are left out."""
    ids = sorted(job_ids)
    some = (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))
    return sorted((found for batch in some for found in _standings(session, batch)), key=lambda found: found.job_id)


def moving(session: Session, *, queues: Sequence[str], ended_within: timedelta, limit: int) -> set[str]:
    """The ids of the jobs that are hinted or run, and of the newest ``limit`` that ended so short a while ago."""
    # Without the queues SQLite takes an index that leads through the whole backlog.
    hinted = select(JobRow.id).where(
        JobRow.queue.in_(queues), JobRow.state == State.QUEUED, JobRow.hinted_at.is_not(None)
    )
    running = select(JobRow.id).where(JobRow.state == State.RUNNING, JobRow.lease_expires_at.is_not(None))
    # PostgreSQL looks nothing up in an index by a clock that goes on while it looks, so this is a moment that stands.
    ended = select(JobRow.id).where(
        JobRow.finished_at.is_not(None), JobRow.finished_at > read_now(session) - ended_within
    )
    newest = ended.order_by(JobRow.finished_at.desc()).limit(limit)
    return {job_id for which in (hinted, running, newest) for job_id in session.scalars(which)}


def between_attempts(session: Session, *, limit: int) -> set[str]:
    """The ids of jobs that ran and will run again. This goes through the whole backlog, so it is nothing for every
    second."""
    again = select(JobRow.id).where(JobRow.state.in_((State.WAITING, State.QUEUED)), JobRow.attempt > 0)
    return set(session.scalars(again.limit(limit)))


def _standings(session: Session, job_ids: Sequence[str]) -> Sequence[Standing]:
    rows = session.execute(
        select(
            JobRow.id,
            JobRow.kind,
            JobRow.state,
            JobRow.attempt,
            JobRow.error,
            JobRow.queued_at,
            JobRow.finished_at,
            AttemptRow.worker_name,
            AttemptRow.cause,
            AttemptRow.started_at,
            AttemptRow.ended_at,
            WorkerRow.hostname,
        )
        .outerjoin(AttemptRow, and_(AttemptRow.job_id == JobRow.id, AttemptRow.attempt == JobRow.attempt))
        .outerjoin(WorkerRow, WorkerRow.id == AttemptRow.worker_id)
        .where(JobRow.id.in_(job_ids))
    )
    return [
        Standing(
            job_id=row.id,
            kind=row.kind,
            state=State(row.state),
            attempt=row.attempt,
            worker=None if row.hostname is None else f"{row.worker_name}@{row.hostname}",
            message=_message(State(row.state), row.error, row.cause),
            queued_at=row.queued_at,
            started_at=row.started_at,
            ended_at=row.ended_at,
            finished_at=row.finished_at,
        )
        for row in rows
    ]


def _message(state: State, error: Mapping[str, Any] | None, cause: str | None) -> str | None:
    if state is State.FAILED:
        return None if error is None else str(error["message"])
    return cause if state in (State.WAITING, State.QUEUED) else None
