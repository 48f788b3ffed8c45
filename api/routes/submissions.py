"""Submitting jobs."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, JsonValue
from starlette.concurrency import run_in_threadpool

from api.auth import Holder
from api.following import LONGEST_WAIT_SECONDS, wait_until_final
from api.job_views import JobView
from api.json_bodies import read_json
from api.problems import FieldError, invalid
from api.services import ServicesOf
from api.submission import accept, accept_many, known_before
from api.submission_bodies import SubmissionBodies
from db.bulk import Accepted

MOST_IN_BULK = 10_000

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=200, description="A retry with the same key and body finds the first job."),
]


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


def submissions_router(bodies: SubmissionBodies) -> APIRouter:
    """The router; ``bodies`` knows what each kind's submission may say."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

    @router.post("", status_code=202, summary="Submit a job", openapi_extra=_body_of(_SUBMISSION))
    async def submit(
        holder: Holder,
        services: ServicesOf,
        request: Request,
        response: Response,
        idempotency_key: IdempotencyKey = None,
        prefer: Annotated[
            str | None, Header(description="wait=N: answer when the job is final, or after N ≤ 60 s.")
        ] = None,
    ) -> JobView:
        """The job is safe once this answers 202. `Prefer: wait=N` answers later, with the finished job."""
        wait_seconds = _wait_of(prefer)
        raw = await read_json(request, max_bytes=services.settings.max_spec_bytes)
        job, is_new = await run_in_threadpool(lambda: accept(services, holder, bodies.validate(raw), idempotency_key))
        if is_new:
            services.hinter.poke(job.queue)
        else:
            response.headers["Idempotent-Replayed"] = "true"
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return await wait_until_final(request, services, holder, job.id, wait_seconds)

    @router.post("/bulk", status_code=202, summary="Submit many jobs at once", openapi_extra=_body_of(_BULK))
    async def submit_bulk(
        holder: Holder,
        services: ServicesOf,
        request: Request,
        response: Response,
        idempotency_key: IdempotencyKey = None,
    ) -> BulkView:
        """All are accepted in one transaction, or none: then each error's field begins with the item's index."""
        raw = await read_json(request, max_bytes=services.settings.max_bulk_bytes)
        items = _bulk_items(raw)

        def accepted() -> tuple[bool, Sequence[Accepted]]:
            valid = bodies.validate_many(items)
            known = known_before(services, holder, valid, idempotency_key)
            return known, accept_many(services, holder, valid, idempotency_key)

        replayed, jobs = await run_in_threadpool(accepted)
        if replayed:
            response.headers["Idempotent-Replayed"] = "true"
        for queue in {job.queue for job in jobs}:
            services.hinter.poke(queue)
        return BulkView(jobs=[BulkJobView(index=i, id=job.job_id, state=job.state) for i, job in enumerate(jobs)])

    return router


def _wait_of(prefer: str | None) -> int:
    """The N of ``Prefer: wait=N`` (RFC 7240), cut to the longest wait; 0 without one."""
    found = re.search(r"(?:^|[,;\s])wait=(\d{1,9})(?:$|[,;\s])", prefer or "")
    return min(int(found[1]), LONGEST_WAIT_SECONDS) if found else 0


def _bulk_items(raw: JsonValue) -> list[JsonValue]:
    items = raw.get("jobs") if isinstance(raw, dict) and set(raw) == {"jobs"} else None
    if not isinstance(items, list) or not items or len(items) > MOST_IN_BULK:
        raise invalid([FieldError("jobs", f'Send {{"jobs": [...]}} with 1 to {MOST_IN_BULK} submissions.')])
    return items
