"""Bringing jobs to a queue that has a worker for them, from one that has none."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from db.clock import db_now
from db.events import NewEvent, append
from db.fairness import reserve_tags
from db.rows import MOVABLE, JobRow, WorkerRow
from db.states import EventType

# A worker that is just started anew is waited for.
_GONE_AFTER = timedelta(minutes=1)
_BATCH = 200


def move_stranded(session: Session, queue: str, kinds: Mapping[str, Sequence[str]]) -> int:
    """Bring the best movable jobs to ``queue`` that lie where no worker has been for a minute that takes them; returns
    how many. ``kinds`` says in which queues each kind may run."""
    missing = [(other, kind) for kind, queues in kinds.items() if queue in queues for other in queues if other != queue]
    if not missing:
        return 0
    taken = _taken_lately(session)
    moved = 0
    for other, kind in missing:
        if (other, kind) not in taken:
            moved += _move(session, kind, other, queue)
    return moved


def _taken_lately(session: Session) -> set[tuple[str, str]]:
    there = select(WorkerRow.queue, WorkerRow.kinds).where(WorkerRow.last_seen_at > db_now(-_GONE_AFTER))
    return {(queue, kind) for queue, kinds in session.execute(there) for kind in kinds}


def _move(session: Session, kind: str, source: str, target: str) -> int:
    # In the words of the partial index, which holds nothing else.
    stranded = (
        select(JobRow)
        .where(JobRow.queue == source, JobRow.kind == kind, text(MOVABLE))
        .order_by(JobRow.id)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    lines: dict[tuple[str, int], list[JobRow]] = defaultdict(list)
    for job in session.scalars(stranded):
        lines[job.owner_id, job.precedence].append(job)
    for (owner_id, precedence), jobs in sorted(lines.items()):
        tags = reserve_tags(session, owner_id, target, precedence, len(jobs))
        for job, tag in zip(jobs, tags, strict=True):
            session.execute(
                update(JobRow).where(JobRow.id == job.id).values(queue=target, fair_tag=tag, hinted_at=None)
            )
            message = f"No worker of queue {source} takes the job; it goes to queue {target}."
            append(session, job.id, job.attempt, [NewEvent(EventType.LOG, {"level": "info", "message": message})])
    return sum(map(len, lines.values()))
