"""Queued jobs that should have been claimed by now."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.clock import db_now
from db.rows import JobRow
from db.states import State


def overdue(
    session: Session, queue: str, kinds: Collection[str], *, older_than: timedelta, limit: int
) -> Sequence[str]:
    """The ids of the queue's next jobs of these kinds that were hinted longer ago than that, or queued if they have no
    hint. They are not locked."""
    since = func.coalesce(JobRow.hinted_at, JobRow.queued_at)
    return session.scalars(
        select(JobRow.id)
        .where(JobRow.queue == queue, JobRow.state == State.QUEUED, JobRow.kind.in_(kinds))
        .where(since < db_now(-older_than))
        .order_by(JobRow.precedence, JobRow.fair_tag, JobRow.id)
        .limit(limit)
    ).all()
