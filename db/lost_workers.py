"""Workers that vanished: no sign of life, no goodbye, and none of the same name in their place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from db.clock import db_now
from db.rows import WorkerRow
from db.workers import LIVE_WITHIN

_MEMORY = timedelta(days=1)


@dataclass(frozen=True)
class LostWorker:
    """When a worker of that name was last seen."""

    name: str
    queue: str
    last_seen_at: datetime


def lost_workers(session: Session) -> Sequence[LostWorker]:
    """Those of the last day, the latest first."""
    later = aliased(WorkerRow)
    replaced = exists().where(
        later.name == WorkerRow.name, later.hostname == WorkerRow.hostname, later.started_at > WorkerRow.started_at
    )
    query = (
        select(WorkerRow.name, WorkerRow.queue, func.max(WorkerRow.last_seen_at))
        .where(WorkerRow.stopped_at.is_(None), ~replaced)
        .where(WorkerRow.last_seen_at < db_now(-LIVE_WITHIN), WorkerRow.last_seen_at > db_now(-_MEMORY))
        .group_by(WorkerRow.name, WorkerRow.queue)
        .order_by(func.max(WorkerRow.last_seen_at).desc())
    )
    return [LostWorker(name, queue, last_seen_at) for name, queue, last_seen_at in session.execute(query)]
