"""From a validated body to a job that can't be lost."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from http import HTTPStatus

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api.problems import FieldError, Problem, invalid
from api.services import Services
from api.spec_inputs import file_ids_of, has_inputs, missing_inputs, model_version_ids_of, pinned
from api.submission_bodies import MOST_ERRORS, SubmissionBody
from api.webhooks import webhook_errors
from db.bulk import Accepted, BulkKey, Turns, reserve_turns, submit_all
from db.group import Submission
from db.owners import KeyHolder
from db.rows import JobRow
from db.submit import IdempotencyConflict, NewJob, UnknownReference, earlier_submission, submit, submit_once


def to_group(
    services: Services, holder: KeyHolder, body: SubmissionBody, key: str | None, *, counts: bool = True
) -> Submission | None:
    """The submission as one that can be written together with others'; None for one that has to be written apart, as
    its own references, times or webhook may make it wait or fail. ``counts``: as that of ``Submission``."""
    if body.run_at is not None or body.after or body.webhook is not None or has_inputs(body.spec):
        return None
    bulk_key = None if key is None else BulkKey(key, _sha256(body))
    return Submission(_new_job(services, holder, body), bulk_key, counts)


def accept(services: Services, holder: KeyHolder, body: SubmissionBody, key: str | None) -> tuple[JobRow, bool]:
    """Write the job, or find the one that the idempotency key already stands for. True when it is new."""
    if errors := webhook_errors(body.webhook, services.settings.webhook_allow):
        raise invalid(errors)
    look_for_workers(services, [body])
    try:
        return _accept(services, holder, body, key)
    except IntegrityError:
        if key is None:
            raise
        # Another request with the same key committed in between; this time its job is found.
        return _accept(services, holder, body, key)


def accept_many(
    services: Services, holder: KeyHolder, bodies: Sequence[SubmissionBody], key: str | None
) -> Sequence[Accepted]:
    """All of them in one transaction, or none. With a key, each item has the key and its index as its own."""
    errors = [
        FieldError(f"{index}.{error.field}", error.message, error.code)
        for index, body in enumerate(bodies)
        if body.webhook is not None
        for error in webhook_errors(body.webhook, services.settings.webhook_allow)
    ]
    if errors:
        raise invalid(errors[:MOST_ERRORS])
    look_for_workers(services, bodies)
    try:
        return _accept_many(services, holder, bodies, key)
    except IntegrityError:
        if key is None:
            raise
        return _accept_many(services, holder, bodies, key)


def look_for_workers(services: Services, bodies: Iterable[SubmissionBody]) -> None:
    """Before jobs that name no queue are made, where that depends on who is there to run them."""
    if any(must_look(services, body) for body in bodies):
        services.placing.look(services.database)


def must_look(services: Services, body: SubmissionBody) -> bool:
    """Whether ``look_for_workers`` would ask the database."""
    return body.queue is None and services.placing.must_look(services.kinds[body.kind])


def known_before(services: Services, holder: KeyHolder, bodies: Sequence[SubmissionBody], key: str | None) -> bool:
    """Whether the key stands for all of them already: they are written together, so the last tells of all."""
    if key is None:
        return False
    last = BulkKey(f"{key}#{len(bodies) - 1}", _sha256(bodies[-1]))
    try:
        with services.database.read() as session:
            return _is_known(session, holder, last)
    except IdempotencyConflict as exc:
        raise key_reused() from exc


def _accept_many(
    services: Services, holder: KeyHolder, bodies: Sequence[SubmissionBody], key: str | None
) -> Sequence[Accepted]:
    keys = [] if key is None else [BulkKey(f"{key}#{i}", _sha256(body)) for i, body in enumerate(bodies)]
    bodies, news = _pinned_jobs(services, holder, bodies)
    turns: Turns = {}
    try:
        if not services.database.is_sqlite:
            with services.database.write() as session:
                _check_inputs(session, holder, bodies, keys)
                turns = reserve_turns(session, holder.owner_id, news, keys)
        with services.database.write() as session:
            _check_inputs(session, holder, bodies, keys)
            return submit_all(session, holder.owner_id, news, keys, turns)
    except IdempotencyConflict as exc:
        raise key_reused() from exc
    except UnknownReference as exc:
        identifier, index = exc.args
        error = _unknown(bodies[index], identifier)
        raise invalid([FieldError(f"{index}.{error.field}", error.message, error.code)]) from exc


def _pinned_jobs(
    services: Services, holder: KeyHolder, bodies: Sequence[SubmissionBody]
) -> tuple[Sequence[SubmissionBody], Sequence[NewJob]]:
    with services.database.read() as session:
        pinned_bodies = [_pinned(session, holder, body) for body in bodies]
        versions = [model_version_ids_of(session, body.spec, holder.owner_id) for body in pinned_bodies]
    jobs = zip(pinned_bodies, versions, strict=True)
    return pinned_bodies, [_new_job(services, holder, body, read) for body, read in jobs]


def _pinned(session: Session, holder: KeyHolder, body: SubmissionBody) -> SubmissionBody:
    spec = pinned(session, body.spec, holder.owner_id)
    return body if spec is body.spec else body.model_copy(update={"spec": spec})


def _check_inputs(
    session: Session, holder: KeyHolder, bodies: Sequence[SubmissionBody], keys: Sequence[BulkKey]
) -> None:
    errors = [
        FieldError(f"{index}.{error.field}", error.message, error.code)
        for index, body in enumerate(bodies)
        for error in missing_inputs(session, body.spec, holder.owner_id, body.after)
        # A retry is answered even if the file that it names was deleted since.
        if not keys or not _is_known(session, holder, keys[index])
    ]
    if errors:
        raise invalid(errors[:MOST_ERRORS])


def _is_known(session: Session, holder: KeyHolder, key: BulkKey) -> bool:
    earlier = earlier_submission(session, holder.owner_id, key=key.key, body_sha256=key.body_sha256)
    return earlier is not None


def _accept(services: Services, holder: KeyHolder, body: SubmissionBody, key: str | None) -> tuple[JobRow, bool]:
    with services.database.write() as session:
        return _write(session, services, holder, body, key)


def _write(
    session: Session, services: Services, holder: KeyHolder, body: SubmissionBody, key: str | None
) -> tuple[JobRow, bool]:
    sha256 = "" if key is None else _sha256(body)
    try:
        if key is not None:
            # A retry is answered even if the file that it names was deleted since.
            earlier = earlier_submission(session, holder.owner_id, key=key, body_sha256=sha256)
            if earlier is not None:
                return earlier, False
        body = _pinned(session, holder, body)
        errors = missing_inputs(session, body.spec, holder.owner_id, body.after)
        if errors:
            raise invalid(errors)
        new = _new_job(services, holder, body, model_version_ids_of(session, body.spec, holder.owner_id))
        if key is None:
            return submit(session, new), True
        return submit_once(session, new, key=key, body_sha256=sha256)
    except IdempotencyConflict as exc:
        raise key_reused() from exc
    except UnknownReference as exc:
        raise invalid([_unknown(body, str(exc.args[0]))]) from exc


def _new_job(
    services: Services, holder: KeyHolder, body: SubmissionBody, model_version_ids: Sequence[str] = ()
) -> NewJob:
    kind = services.kinds[body.kind]
    return NewJob(
        owner_id=holder.owner_id,
        kind=body.kind,
        queue=body.queue or services.placing.queue_for(kind),
        movable=body.queue is None and kind.fallback,
        spec=body.spec_document(),
        max_attempts=body.max_attempts or kind.max_attempts,
        priority=body.priority,
        time_limit=None if body.time_limit_seconds is None else timedelta(seconds=body.time_limit_seconds),
        deadline=None if body.deadline_seconds is None else timedelta(seconds=body.deadline_seconds),
        run_at=body.run_at,
        after=body.after,
        tags=body.tags,
        file_ids=file_ids_of(body.spec),
        model_version_ids=model_version_ids,
        webhook=None if body.webhook is None else body.webhook.new_webhook(),
    )


def _unknown(body: SubmissionBody, identifier: str) -> FieldError:
    if identifier in body.after:
        return FieldError(f"after.{body.after.index(identifier)}", f"There is no job {identifier!r}.", "unknown_job")
    if identifier in file_ids_of(body.spec):
        return FieldError("spec", f"There is no file {identifier!r}.", "unknown_input")
    return FieldError("spec", "A model that it names was deleted in this moment.", "unknown_input")


def _sha256(body: SubmissionBody) -> str:
    return hashlib.sha256(body.canonical_json()).hexdigest()


def key_reused() -> Problem:
    detail = "This Idempotency-Key was used before with another body; use a new key for a new job."
    return Problem(HTTPStatus.CONFLICT, "idempotency_key_reused", detail)
