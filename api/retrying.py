"""A new job from one that failed or was cancelled."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api.auth import visible_owner
from api.problems import Problem, not_found
from api.services import Services
from api.spec_inputs import file_ids_of, missing_inputs, model_version_ids_of
from db.jobs import after_ids, find
from db.owners import KeyHolder
from db.rows import JobRow
from db.states import State
from db.submit import IdempotencyConflict, NewJob, UnknownReference, earlier_submission, keep_key, submit
from db.webhooks import webhook_of
from tasks.contracts import JobSpec
from tasks.kind import Kind


def accept_retry(services: Services, holder: KeyHolder, job_id: str, key: str | None) -> tuple[JobRow, bool]:
    """Write the new job, or find the one that the idempotency key already stands for. True when it is new. Raises the
    problems 404, and 409 where a retry makes no sense or could only fail."""
    try:
        return _accept(services, holder, job_id, key)
    except IntegrityError:
        if key is None:
            raise
        # Another request with the same key committed in between; this time its job is found.
        return _accept(services, holder, job_id, key)


def _accept(services: Services, holder: KeyHolder, job_id: str, key: str | None) -> tuple[JobRow, bool]:
    sha256 = hashlib.sha256(f"retry of {job_id}".encode()).hexdigest()
    with services.database.write() as session:
        if key is not None and (earlier := _earlier(session, holder, key, sha256)) is not None:
            return earlier, False
        old = find(session, job_id, visible_owner(holder))
        if old is None:
            raise not_found("job", job_id)
        job = _submit(session, _same_again(session, services, old), old)
        if key is not None:
            keep_key(session, holder.owner_id, job, key=key, body_sha256=sha256)
        return job, True


def _submit(session: Session, new: NewJob, old: JobRow) -> JobRow:
    try:
        return submit(session, new)
    except UnknownReference as exc:
        # It was deleted since it was looked at.
        raise _inputs_missing(old, f"There is no file, model or job {exc.args[0]!r}.") from exc


def _earlier(session: Session, holder: KeyHolder, key: str, sha256: str) -> JobRow | None:
    try:
        return earlier_submission(session, holder.owner_id, key=key, body_sha256=sha256)
    except IdempotencyConflict as exc:
        detail = "This Idempotency-Key was used before for something else; use a new key for a new retry."
        raise Problem(HTTPStatus.CONFLICT, "idempotency_key_reused", detail) from exc


def _same_again(session: Session, services: Services, old: JobRow) -> NewJob:
    """What was asked for then. It begins now, so it has no ``run_at``, and its deadline is as far away as it was."""
    if State(old.state) not in (State.FAILED, State.CANCELLED):
        raise _refused(
            old, "not_retryable", f"The job is {old.state}; only one that failed or was cancelled can be retried."
        )
    kind = services.kinds.get(old.kind)
    if kind is None:
        raise _refused(
            old, "unknown_kind", f"This server no longer has the kind {old.kind!r}; the job can't run again."
        )
    spec = _spec(kind, old)
    after = after_ids(session, [old.id])[old.id]
    _require_hope(session, old, after)
    if missing := missing_inputs(session, spec, old.owner_id, after):
        raise _inputs_missing(old, " ".join(f"{error.field}: {error.message}" for error in missing))
    return NewJob(
        owner_id=old.owner_id,
        kind=old.kind,
        queue=old.queue,
        spec=old.spec,
        max_attempts=old.max_attempts,
        priority=old.priority,
        time_limit=None if old.time_limit_seconds is None else timedelta(seconds=old.time_limit_seconds),
        deadline=None if old.deadline_at is None else old.deadline_at - old.created_at,
        after=after,
        tags=old.tags,
        file_ids=file_ids_of(spec),
        model_version_ids=model_version_ids_of(session, spec, old.owner_id),
        retry_of=old.id,
        movable=old.movable,
        webhook=webhook_of(session, old),
        # Any other checkpoint names what belongs to the old job alone, and is removed with it.
        checkpoint=old.checkpoint if kind.portable_checkpoint else None,
    )


def _spec(kind: Kind, old: JobRow) -> JobSpec:
    try:
        spec = kind.spec.model_validate(old.spec)
    except ValidationError as exc:
        fields = ", ".join(dict.fromkeys(".".join(map(str, error["loc"])) or "spec" for error in exc.errors()))
        detail = f"The job's spec no longer fits its kind ({fields}); submit a new job."
        raise _refused(old, "spec_outdated", detail) from exc
    if old.queue not in kind.queues:
        raise _refused(
            old, "spec_outdated", f"Jobs of this kind no longer run in the queue {old.queue!r}; submit a new job."
        )
    return spec


def _require_hope(session: Session, old: JobRow, after: Sequence[str]) -> None:
    for job_id in after:
        state = State(session.get_one(JobRow, job_id).state)
        if state.is_final and state is not State.SUCCEEDED:
            detail = (
                f"Job {job_id}, after which this one runs, is {state}: retry that one, then submit this one after it."
            )
            raise _refused(old, "dependency_failed", detail)


def _inputs_missing(old: JobRow, complaints: str) -> Problem:
    return _refused(old, "inputs_missing", f"The job's data is gone; submit a new job with other data. {complaints}")


def _refused(old: JobRow, code: str, detail: str) -> Problem:
    return Problem(HTTPStatus.CONFLICT, code, detail, state=old.state)
