"""Accepting a job: once this transaction commits, the job can't be lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.clock import db_now
from db.events import append_state
from db.fairness import reserve_tags
from db.ids import new_id
from db.rows import DependencyRow, FileRow, IdempotencyRow, JobFileRow, JobModelRow, JobRow, ModelVersionRow, WebhookRow
from db.states import FINAL_STATES, State
from db.webhooks import NewWebhook, first_values, webhook_values


@dataclass(frozen=True)
class NewJob:
    """What a submission says, already validated."""

    owner_id: str
    kind: str
    queue: str
    spec: Mapping[str, Any]
    max_attempts: int
    priority: int = 4
    time_limit: timedelta | None = None
    deadline: timedelta | None = None
    run_at: datetime | None = None
    after: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    file_ids: Sequence[str] = ()
    model_version_ids: Sequence[str] = ()
    retry_of: str | None = None
    movable: bool = False
    checkpoint: Mapping[str, Any] | None = None
    webhook: NewWebhook | None = None


class IdempotencyConflict(Exception):
    """The Idempotency-Key was used before with another body."""


class UnknownReference(Exception):
    """The submission names a job, file or model that its owner does not have; ``args[0]`` is the id."""


def submit(session: Session, new: NewJob) -> JobRow:
    """Write the job and its first event. Raises ``UnknownReference``."""
    _check_owned(session, FileRow, new.file_ids, new.owner_id)
    _check_owned(session, ModelVersionRow, new.model_version_ids, new.owner_id)
    _check_owned(session, JobRow, new.after, new.owner_id)
    # Whoever names a file takes a lock on its row first, as its deletion does: one of the two sees the other.
    waits = new.run_at is not None or _any_unsettled(session, new.after)
    turn = 0 if waits else reserve_tags(session, new.owner_id, new.queue, 9 - new.priority, 1)[0]
    job = JobRow(
        id=new_id(),
        owner_id=new.owner_id,
        kind=new.kind,
        queue=new.queue,
        state=State.WAITING if waits else State.QUEUED,
        precedence=9 - new.priority,
        fair_tag=turn,
        spec=dict(new.spec),
        tags=dict(new.tags),
        max_attempts=new.max_attempts,
        time_limit_seconds=None if new.time_limit is None else new.time_limit.total_seconds(),
        deadline_at=None if new.deadline is None else db_now(new.deadline),
        run_at=new.run_at,
        retry_of=new.retry_of,
        movable=new.movable,
        checkpoint=None if new.checkpoint is None else dict(new.checkpoint),
        created_at=db_now(),
        queued_at=None if waits else db_now(),
        **first_values(new.webhook),
    )
    session.add(job)
    session.flush()
    if new.webhook is not None:
        session.add(WebhookRow(**webhook_values(job.id, new.webhook)))
    session.add_all(DependencyRow(job_id=job.id, after_id=after_id) for after_id in set(new.after))
    session.add_all(JobFileRow(job_id=job.id, file_id=file_id) for file_id in set(new.file_ids))
    session.add_all(JobModelRow(job_id=job.id, model_version_id=one) for one in set(new.model_version_ids))
    append_state(session, job.id, attempt=0, state=State(job.state))
    session.flush()
    session.refresh(job)
    return job


def earlier_submission(session: Session, owner_id: str, *, key: str, body_sha256: str) -> JobRow | None:
    """The job that ``key`` already stands for, if it does. Raises ``IdempotencyConflict`` for another body."""
    earlier = session.get(IdempotencyRow, (owner_id, key))
    if earlier is None:
        return None
    if earlier.body_sha256 != body_sha256:
        raise IdempotencyConflict(key)
    return session.get_one(JobRow, earlier.job_id)


def submit_once(session: Session, new: NewJob, *, key: str, body_sha256: str) -> tuple[JobRow, bool]:
    """Submit unless ``key`` already stands for a job of this owner: then that job. True when the job is new.

    Two submissions at once with one key: the second breaks on the primary key (``IntegrityError``) and the caller
    tries again, finding the first. Raises ``IdempotencyConflict`` for another body.
    """
    earlier = earlier_submission(session, new.owner_id, key=key, body_sha256=body_sha256)
    if earlier is not None:
        return earlier, False
    job = submit(session, new)
    keep_key(session, new.owner_id, job, key=key, body_sha256=body_sha256)
    return job, True


def keep_key(session: Session, owner_id: str, job: JobRow, *, key: str, body_sha256: str) -> None:
    """Let ``key`` stand for the job. Breaks on the primary key (``IntegrityError``) if it stands for one already."""
    session.add(IdempotencyRow(owner_id=owner_id, key=key, body_sha256=body_sha256, job_id=job.id))
    session.flush()


def _check_owned(
    session: Session, row: type[JobRow] | type[FileRow] | type[ModelVersionRow], ids: Sequence[str], owner_id: str
) -> None:
    # On PostgreSQL two that lock the same rows would deadlock without a common order.
    query = select(row.id).where(row.id.in_(ids), row.owner_id == owner_id).order_by(row.id)
    found = set(session.scalars(query.with_for_update(key_share=True, read=True))) if ids else set()
    for wanted in ids:
        if wanted not in found:
            raise UnknownReference(wanted)


def _any_unsettled(session: Session, after: Sequence[str]) -> bool:
    """Whether a job named in ``after`` is open or did not succeed; the janitor settles both cases."""
    if not after:
        return False
    states = session.scalars(select(JobRow.state).where(JobRow.id.in_(after)))
    return any(state not in FINAL_STATES or state != State.SUCCEEDED for state in states)
