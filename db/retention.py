"""Forgetting what is old: events, idempotency keys, workers, final jobs and the files nobody needs."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session, aliased

from db.clock import db_now
from db.rows import ArtifactRow, DependencyRow, EventRow, FileRow, IdempotencyRow, JobRow, WorkerRow
from db.states import FINAL_STATES, OPEN_STATES

_BATCH = 200
_IDEMPOTENCY = timedelta(hours=25)
_WORKERS = timedelta(days=7)


def forget_old(session: Session, *, jobs: timedelta, events: timedelta) -> Sequence[str]:
    """Delete a batch of what is older than that; returns store keys to delete after the commit.

    A job's events go only after it is final, and a job stays while an open one waits for it or its clean-up is due.
    """
    session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < db_now(-_IDEMPOTENCY)))
    session.execute(delete(WorkerRow).where(WorkerRow.last_seen_at < db_now(-_WORKERS)))
    final = select(JobRow.id).where(JobRow.state.in_(FINAL_STATES), JobRow.finished_at < db_now(-events))
    session.execute(delete(EventRow).where(EventRow.job_id.in_(final), EventRow.created_at < db_now(-events)))
    waiting = aliased(JobRow)
    awaited = exists().where(
        DependencyRow.after_id == JobRow.id, waiting.id == DependencyRow.job_id, waiting.state.in_(OPEN_STATES)
    )
    old = session.scalars(
        select(JobRow.id)
        .where(JobRow.state.in_(FINAL_STATES), JobRow.finished_at < db_now(-jobs), ~JobRow.cleanup_needed, ~awaited)
        .limit(_BATCH)
    ).all()
    keys = session.scalars(select(ArtifactRow.key).where(ArtifactRow.job_id.in_(old))).all()
    session.execute(delete(JobRow).where(JobRow.id.in_(old)))
    return keys


def known_keys(session: Session, keys: Sequence[str]) -> set[str]:
    """Which of these store keys some row still names; files under the others may go."""
    artifacts = session.scalars(select(ArtifactRow.key).where(ArtifactRow.key.in_(keys)))
    files = session.scalars(select(FileRow.key).where(FileRow.key.in_(keys)))
    return {*artifacts, *files}
