"""Which jobs the broker should know of. Order is decided here; the broker holds only a short window per queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from db.clock import db_now
from db.rows import JobRow, WorkerRow
from db.states import State
from db.workers import is_live

_WINDOW_WITHOUT_WORKERS = 4


@dataclass(frozen=True)
class Hint:
    """A message to send: that this job may be there to claim."""

    job_id: str
    kind: str


def next_hints(session: Session, queue: str) -> Sequence[Hint]:
    """Mark the best queued jobs as hinted until the queue's window is full; the caller commits, then sends them.

    Order: priority, then the owner's fair tag, then age. The window is twice the slots of the queue's live workers, so
    that a worker that ends a job finds the next hint waiting. A job of a kind that none of them can run is passed over:
    they would drop its hint, and it would keep the others out of the window for ever.
    """
    connection = session.connection()
    slots, kinds, room = _look_at(connection, queue)
    if room <= 0:
        return ()
    which = {"of_queue": queue, "kinds": sorted(kinds), "room": room}
    marked = connection.execute(_MARK if slots else _MARK_OF_ANY_KIND, which)
    return [Hint(row.id, row.kind) for row in sorted(marked, key=lambda row: (row.precedence, row.fair_tag, row.id))]


def is_window_full(session: Session, queue: str) -> bool:
    """Whether ``next_hints`` would mark nothing, found out by reading alone."""
    _slots, _kinds, room = _look_at(session.connection(), queue)
    return room <= 0


def _look_at(connection: Connection, queue: str) -> tuple[int, set[str], int]:
    """The slots of the queue's live workers, the kinds that they can run, and how many more hints its window takes."""
    slots, kinds = _live_workers(connection, queue)
    which = {"of_queue": queue, "kinds": sorted(kinds)}
    hinted = connection.execute(_HINTED if slots else _HINTED_OF_ANY_KIND, which).scalar_one()
    return slots, kinds, (2 * slots or _WINDOW_WITHOUT_WORKERS) - hinted


def _marking(*which: ColumnElement[bool]) -> ReturningUpdate[str, str, int, int]:
    best = (
        select(JobRow.id)
        .where(*which, JobRow.hinted_at.is_(None))
        .order_by(JobRow.precedence, JobRow.fair_tag, JobRow.id)
        .limit(bindparam("room"))
        .with_for_update(skip_locked=True)
    )
    # As a plain subquery PostgreSQL may run it once for each row, with other rows as its result each time. What it
    # found is locked, so no condition has to be repeated, and SQLite would go through the backlog for one on the state.
    once = select(best.cte("best").c.id)
    return (
        update(JobRow)
        .where(JobRow.id.in_(once))
        .values(hinted_at=db_now())
        .returning(JobRow.id, JobRow.kind, JobRow.precedence, JobRow.fair_tag)
    )


def _counting(*which: ColumnElement[bool]) -> Select[Any]:
    return select(func.count()).where(*which, JobRow.hinted_at.is_not(None))


# Built once, since that takes longer than running them.
_QUEUED = (JobRow.queue == bindparam("of_queue"), JobRow.state == State.QUEUED)
_QUEUED_OF_KINDS = (*_QUEUED, JobRow.kind.in_(bindparam("kinds", expanding=True)))
_HINTED, _HINTED_OF_ANY_KIND = _counting(*_QUEUED_OF_KINDS), _counting(*_QUEUED)
_MARK, _MARK_OF_ANY_KIND = _marking(*_QUEUED_OF_KINDS), _marking(*_QUEUED)


def unmark(session: Session, job_ids: Sequence[str]) -> None:
    """Take back marks whose hints could not be sent."""
    _clear(session, JobRow.id.in_(job_ids))


def count_marks(session: Session, queue: str, *, older_than: timedelta) -> int:
    """How many hints of the queue were marked longer ago than that and have claimed nothing yet."""
    # SQLite takes the index of the marked rows only for a condition in that index's own words.
    marked = JobRow.hinted_at.is_not(None) & (JobRow.hinted_at < db_now(-older_than))
    count = select(func.count()).where(JobRow.queue == queue, JobRow.state == State.QUEUED, marked)
    return session.scalar(count) or 0


def clear_stale_marks(session: Session, queue: str, *, older_than: timedelta) -> int:
    """Forget the marks of hints that were lost; returns of how many.

    A mark younger than ``older_than`` may belong to a hint that is just being sent or claimed.
    """
    return _clear(session, JobRow.queue == queue, JobRow.hinted_at < db_now(-older_than))


def _clear(session: Session, *which: ColumnElement[bool]) -> int:
    # On PostgreSQL two that clear the same marks at once would deadlock without a common order of locking.
    marked = select(JobRow.id).where(JobRow.state == State.QUEUED, JobRow.hinted_at.is_not(None), *which)
    ids = session.scalars(marked.order_by(JobRow.id).with_for_update(key_share=True)).all()
    if ids:
        session.execute(
            update(JobRow).where(JobRow.id.in_(ids)).values(hinted_at=None).execution_options(synchronize_session=False)
        )
    return len(ids)


def _live_workers(connection: Connection, queue: str) -> tuple[int, set[str]]:
    """The slots of the queue's live workers, and the kinds that they can run."""
    workers = connection.execute(_LIVE, {"of_queue": queue}).all()
    return sum(slots for slots, _ in workers), {kind for _, kinds in workers for kind in kinds}


_LIVE = select(WorkerRow.slots, WorkerRow.kinds).where(WorkerRow.queue == bindparam("of_queue"), is_live())
