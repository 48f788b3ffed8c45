"""Submitting jobs."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool

from api.auth import Holder, Submitter, bearer, require_submitter
from api.committer import Committer
from api.following import LONGEST_WAIT_SECONDS, wait_until_final
from api.job_views import JobView, new_job_json
from api.json_bodies import read_json
from api.problems import FieldError, invalid
from api.services import Services, ServicesOf, services_of
from api.submission import accept, accept_many, key_reused, known_before, look_for_workers, must_look, to_group
from api.submission_bodies import SubmissionBodies, SubmissionBody
from db.group import Earlier, KeyReused, Queued
from db.owners import key_sha256

MOST_IN_BULK = 10_000

_KEY_LIMITS = {"min_length": 1, "max_length": 200}
_KEY_DESCRIPTION = "A retry with the same key and body finds the first job."
IdempotencyKey = Annotated[str | None, Header(**_KEY_LIMITS, description=_KEY_DESCRIPTION)]
_KEY = TypeAdapter(Annotated[str, Field(**_KEY_LIMITS)])


class BulkJobView(BaseModel):
    """One accepted item of a bulk submission."""

    index: int
    id: str
    state: str


class BulkView(BaseModel):
    """All accepted items, in the order given."""

    jobs: list[BulkJobView]


def _body_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


_SUBMISSION = {"$ref": "#/components/schemas/Submission"}
_BULK = {
    "type": "object",
    "required": ["jobs"],
    "additionalProperties": False,
    "properties": {"jobs": {"type": "array", "minItems": 1, "maxItems": MOST_IN_BULK, "items": _SUBMISSION}},
}


def _header(name: str, description: str, **limits: int) -> dict[str, Any]:
    schema = {"anyOf": [{"type": "string", **limits}, {"type": "null"}], "description": description}
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


# What `submit` reads by itself, as FastAPI would describe it.
_FRAME = {
    "security": [{bearer.scheme_name: []}],
    "parameters": [
        _header("Idempotency-Key", _KEY_DESCRIPTION, minLength=1, maxLength=200),
        _header("Prefer", "wait=N: answer when the job is final, or after N ≤ 60 s."),
    ],
}


def submissions_router(bodies: SubmissionBodies, committer: Committer) -> APIRouter:
    """The router; ``bodies`` knows what each kind's submission may say."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    @router.post(
        "",
        status_code=202,
        summary="Submit a job",
        response_model=JobView,
        openapi_extra={**_body_of(_SUBMISSION), **_FRAME},
    )
    async def submit(request: Request) -> Response:
        """The job is safe once this answers 202. `Prefer: wait=N` answers later, with the finished job."""
        # FastAPI's own way to a request's parts would take longer than everything else that a submission needs.
        services = await services_of(request)
        submitter = await require_submitter(services, await bearer(request))
        idempotency_key = _idempotency_key(request)
        wait_seconds = _wait_of(request.headers.get("prefer"))
        body = await read_json(request, max_bytes=services.settings.max_spec_bytes, make=bodies.validate)
        job = await _accepted(services, committer, submitter, body, idempotency_key, shown=not wait_seconds)
        view = job.view
        if view is None:
            is_new = job.is_untouched
            seen = await wait_until_final(request, services, submitter.holder, job.job_id, wait_seconds, is_new=is_new)
            view = seen.model_dump_json().encode()
        headers = {"Location": f"/v1/jobs/{job.job_id}"}
        if not job.is_new:
            headers["Idempotent-Replayed"] = "true"
        return Response(view, HTTPStatus.ACCEPTED, headers, "application/json")

    @router.post(
        "/bulk",
        status_code=202,
        summary="Submit many jobs at once",
        response_model=BulkView,
        openapi_extra=_body_of(_BULK),
    )
    async def submit_bulk(
        holder: Holder, services: ServicesOf, request: Request, idempotency_key: IdempotencyKey = None
    ) -> Response:
        """All are accepted in one transaction, or none: then each error's field begins with the item's index."""

        def accepted(raw: JsonValue) -> tuple[bool, set[str], bytes]:
            valid = bodies.validate_many(_bulk_items(raw))
            known = known_before(services, holder, valid, idempotency_key)
            jobs = accept_many(services, holder, valid, idempotency_key)
            # A `BulkView`, without checking what is known to be right.
            view = {"jobs": [{"index": i, "id": job.job_id, "state": job.state} for i, job in enumerate(jobs)]}
            return known, {job.queue for job in jobs}, to_json(view)

        raw = await read_json(request, max_bytes=services.settings.max_bulk_bytes, make=lambda raw: raw)
        replayed, queues, view = await run_in_threadpool(accepted, raw)
        for queue in queues:
            services.hinter.poke(queue)
        headers = {"Idempotent-Replayed": "true"} if replayed else {}
        return Response(view, HTTPStatus.ACCEPTED, headers, "application/json")

    return router


def submit_route(router: APIRouter) -> APIRoute:
    """The one of the router's that submits a job."""
    (found,) = [route for route in router.routes if isinstance(route, APIRoute) and route.name == "submit"]
    return found


@dataclass(frozen=True)
class _Accepted:
    """A job that is safe; ``view`` shows it, as JSON, where that needs no further look. ``is_untouched``: nothing can
    have happened to it yet."""

    job_id: str
    is_new: bool
    is_untouched: bool = False
    view: bytes | None = None


async def _accepted(
    services: Services,
    committer: Committer,
    submitter: Submitter,
    body: SubmissionBody,
    key: str | None,
    *,
    shown: bool,
) -> _Accepted:
    if must_look(services, body):
        await run_in_threadpool(look_for_workers, services, [body])
    submission = to_group(services, submitter.holder, body, key, counts=shown)
    if submission is None:
        return await run_in_threadpool(_accepted_apart, services, submitter, body, key)
    answer = await committer.submit(submission, key_sha256(submitter.secret))
    match answer.outcome:
        case KeyReused():
            raise key_reused()
        case Earlier(job_id):
            return _Accepted(job_id, is_new=False)
        case Queued() as queued:
            view = new_job_json(submission.new, queued, answer.waiting_for) if shown else None
            return _Accepted(queued.job_id, is_new=True, is_untouched=True, view=view)


def _accepted_apart(services: Services, submitter: Submitter, body: SubmissionBody, key: str | None) -> _Accepted:
    """In a transaction of its own."""
    holder = services.known_keys.look_up(services.database, submitter.secret)
    job, is_new = accept(services, holder, body, key)
    if is_new:
        services.hinter.poke(job.queue)
    return _Accepted(job.id, is_new)


def _idempotency_key(request: Request) -> str | None:
    """Raises what FastAPI raises for a parameter that breaks its limits."""
    key = request.headers.get("idempotency-key")
    try:
        return None if key is None else _KEY.validate_python(key)
    except ValidationError as exc:
        raise RequestValidationError(
            [{**error, "loc": ("header", "idempotency-key")} for error in exc.errors()]
        ) from exc


def _wait_of(prefer: str | None) -> int:
    """The N of ``Prefer: wait=N`` (RFC 7240), cut to the longest wait; 0 without one."""
    found = re.search(r"(?:^|[,;\s])wait=(\d{1,9})(?:$|[,;\s])", prefer or "")
    return min(int(found[1]), LONGEST_WAIT_SECONDS) if found else 0


def _bulk_items(raw: JsonValue) -> list[JsonValue]:
    items = raw.get("jobs") if isinstance(raw, dict) and set(raw) == {"jobs"} else None
    if not isinstance(items, list) or not items or len(items) > MOST_IN_BULK:
        raise invalid([FieldError("jobs", f'Send {{"jobs": [...]}} with 1 to {MOST_IN_BULK} submissions.')])
    return items
