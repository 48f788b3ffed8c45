"""Worker processes: who is there, and what waits for whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal_column, select, update
from sqlalchemy.orm import Session

from db.clock import db_now
from db.ids import new_id
from db.rows import JobRow, WorkerRow
from db.states import OPEN_STATES, State

LIVE_WITHIN = timedelta(seconds=15)


@dataclass(frozen=True)
class QueueDepth:
    """One queue's jobs and workers."""

    queue: str
    waiting: int
    queued: int
    running: int
    oldest_queued_at: datetime | None
    live_workers: int
    slots: int


def register(
    session: Session, *, name: str, hostname: str, pid: int, queue: str, slots: int, kinds: Sequence[str]
) -> str:
    """A fresh id for a worker process that starts; it gets hints only for jobs of ``kinds``."""
    row = WorkerRow(id=new_id(), name=name, hostname=hostname, pid=pid, queue=queue, slots=slots, kinds=sorted(kinds))
    session.add(row)
    session.flush()
    return row.id


def seen(session: Session, worker_id: str, models: Sequence[Mapping[str, Any]] = ()) -> None:
    """Note a sign of life, and what models the worker's runners keep loaded."""
    session.execute(
        update(WorkerRow).where(WorkerRow.id == worker_id).values(last_seen_at=db_now(), models=list(models))
    )


def stopped(session: Session, worker_id: str) -> None:
    """Note that the worker ended in an orderly way."""
    session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(stopped_at=db_now()))


def is_live() -> ColumnElement[bool]:
    """That a row is of a worker that gave a sign of life lately."""
    return and_(WorkerRow.stopped_at.is_(None), WorkerRow.last_seen_at > db_now(-LIVE_WITHIN))


def live_workers(session: Session) -> Sequence[WorkerRow]:
    return session.scalars(select(WorkerRow).where(is_live()).order_by(WorkerRow.queue, WorkerRow.name)).all()


def kinds_taken(session: Session) -> Sequence[tuple[str, Sequence[str]]]:
    """The queue and the kinds of each live worker."""
    return [(queue, kinds) for queue, kinds in session.connection().execute(_KINDS_TAKEN)]


def queue_depths(session: Session, queues: Sequence[str]) -> Sequence[QueueDepth]:
    """One entry for each of the queues, in their order."""
    # One look into the index for each number; grouped, the databases read every queued row.
    open_jobs = [
        select(func.count()).where(JobRow.queue == queue, JobRow.state == state).scalar_subquery()
        for queue in queues
        for state in OPEN_STATES
    ]
    numbers = iter(session.execute(select(*open_jobs)).one())
    counts = {(queue, state): next(numbers) for queue in queues for state in OPEN_STATES}
    oldest = oldest_queued(session, queues)
    workers = live_workers(session)
    return [
        QueueDepth(
            queue=queue,
            waiting=counts[queue, State.WAITING],
            queued=counts[queue, State.QUEUED],
            running=counts[queue, State.RUNNING],
            oldest_queued_at=oldest.get(queue),
            live_workers=sum(worker.queue == queue for worker in workers),
            slots=sum(worker.slots for worker in workers if worker.queue == queue),
        )
        for queue in queues
    ]


def oldest_queued(session: Session, queues: Sequence[str]) -> Mapping[str, datetime]:
    """For each of the queues that has any, since when its oldest queued job has been queued."""
    # The partial index serves a condition in its own words only, not a parameter.
    queued = JobRow.state == literal_column(f"'{State.QUEUED}'")
    first = {
        queue: session.scalar(select(func.min(JobRow.queued_at)).where(JobRow.queue == queue, queued))
        for queue in queues
    }
    return {queue: moment for queue, moment in first.items() if moment is not None}


# Built once, since that takes longer than running it.
_KINDS_TAKEN = select(WorkerRow.queue, WorkerRow.kinds).where(is_live())
