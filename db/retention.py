"""Forgetting what is old: events, idempotency keys, workers, final jobs and the files nobody needs.

Each function deletes one batch, small enough that on SQLite nobody waits long for its transaction, and takes only what
no other janitor has locked. A caller goes on until nothing more is deleted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session, aliased

from db.clock import db_now
from db.named_models import is_named
from db.pairs import either_pair
from db.rows import ArtifactRow, DependencyRow, EventRow, FileRow, IdempotencyRow, JobRow, WorkerRow
from db.states import FINAL_STATES, OPEN_STATES

_JOBS_AT_ONCE = 200
_ROWS_AT_ONCE = 2000
_IDEMPOTENCY = timedelta(hours=25)
_WORKERS = timedelta(days=7)


@dataclass(frozen=True)
class Forgotten:
    """How many rows are gone, and the store keys that they named, to be deleted after the commit."""

    rows: int
    keys: Sequence[str] = ()


def forget_events(session: Session, older_than: timedelta) -> Forgotten:
    """Events of jobs that have been final for so long; an open job keeps all of its stream."""
    final = exists().where(
        JobRow.id == EventRow.job_id, JobRow.state.in_(FINAL_STATES), JobRow.finished_at < db_now(-older_than)
    )
    old = (
        select(EventRow.job_id, EventRow.seq)
        .where(EventRow.created_at < db_now(-older_than), final)
        .limit(_ROWS_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    found = session.execute(old).all()
    if found:
        session.execute(
            delete(EventRow).where(either_pair(EventRow.job_id, EventRow.seq, [(one, other) for one, other in found]))
        )
    return Forgotten(len(found))


def forget_idempotency_keys(session: Session) -> Forgotten:
    old = (
        select(IdempotencyRow.owner_id, IdempotencyRow.key)
        .where(IdempotencyRow.created_at < db_now(-_IDEMPOTENCY))
        .limit(_ROWS_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    found = session.execute(old).all()
    if found:
        which = either_pair(IdempotencyRow.owner_id, IdempotencyRow.key, [(one, other) for one, other in found])
        session.execute(delete(IdempotencyRow).where(which, IdempotencyRow.key.in_({key for _owner, key in found})))
    return Forgotten(len(found))


def forget_workers(session: Session) -> Forgotten:
    old = (
        select(WorkerRow.id)
        .where(WorkerRow.last_seen_at < db_now(-_WORKERS))
        .limit(_ROWS_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(old).all()
    if ids:
        session.execute(delete(WorkerRow).where(WorkerRow.id.in_(ids)))
    return Forgotten(len(ids))


def forget_jobs(session: Session, older_than: timedelta) -> Forgotten:
    """Final jobs with all that belongs to them. One stays while an open job waits for it, its clean-up is due,
    or a named model stands for one of its artifacts."""
    waiting = aliased(JobRow)
    awaited = exists().where(
        DependencyRow.after_id == JobRow.id, waiting.id == DependencyRow.job_id, waiting.state.in_(OPEN_STATES)
    )
    old = (
        select(JobRow.id)
        .where(JobRow.state.in_(FINAL_STATES), JobRow.finished_at.is_not(None))
        .where(JobRow.finished_at < db_now(-older_than), ~JobRow.cleanup_needed)
        .where(~awaited, ~is_named())
        .limit(_JOBS_AT_ONCE)
        .with_for_update(skip_locked=True, of=JobRow)
    )
    locked = session.scalars(old).all()
    if not locked:
        return Forgotten(0)
    artifacts = session.execute(select(ArtifactRow.job_id, ArtifactRow.key).where(ArtifactRow.job_id.in_(locked))).all()
    # A submission or a model may have named one of them just before it was locked; this statement sees what is
    # committed by now.
    gone = set(
        session.scalars(
            delete(JobRow)
            .where(JobRow.id.in_(locked), ~awaited, ~is_named())
            .returning(JobRow.id)
            .execution_options(synchronize_session=False)
        )
    )
    return Forgotten(len(gone), [key for job_id, key in artifacts if job_id in gone])


def known_keys(session: Session, keys: Sequence[str]) -> set[str]:
    """Which of these store keys some row still names; files under the others may go."""
    artifacts = session.scalars(select(ArtifactRow.key).where(ArtifactRow.key.in_(keys)))
    files = session.scalars(select(FileRow.key).where(FileRow.key.in_(keys)))
    return {*artifacts, *files}
