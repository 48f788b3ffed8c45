"""Reading, listing and ending jobs."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request

from api.auth import Holder, visible_owner
from api.following import LONGEST_WAIT_SECONDS, wait_until_final
from api.job_views import JobPage, JobView, job_view, job_views
from api.problems import FieldError, Problem, invalid, not_found
from api.services import Services, ServicesOf
from db.jobs import JobFilter, find, list_jobs
from db.owners import KeyHolder
from db.states import State, StopRequest
from db.stops import AlreadyFinal, request_stop

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_TAG = "tag."
_FILTERS = {"state", "kind", "queue", "limit", "cursor"}


@router.get("/{job_id}", summary="One job")
async def get_job(
    holder: Holder,
    services: ServicesOf,
    request: Request,
    job_id: str,
    wait: Annotated[int, Query(ge=0, le=LONGEST_WAIT_SECONDS, description="Seconds to wait until it is final.")] = 0,
) -> JobView:
    return await wait_until_final(request, services, holder, job_id, wait)


@router.get("", summary="Jobs, newest first")
def get_jobs(
    holder: Holder,
    services: ServicesOf,
    request: Request,
    state: Annotated[State | None, Query()] = None,
    kind: Annotated[str | None, Query(max_length=100)] = None,
    queue: Annotated[str | None, Query(max_length=50)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
) -> JobPage:
    """`tag.NAME=VALUE` keeps only jobs with that tag, as often as you like."""
    wanted = JobFilter(
        owner_id=visible_owner(holder),
        state=state,
        kind=kind,
        queue=queue,
        tags=_tags_of(request),
        before_id=cursor,
    )
    with services.database.read() as session:
        found = list_jobs(session, wanted, limit + 1)
        views = job_views(session, found[:limit])
    return JobPage(jobs=views, next_cursor=views[-1].id if len(found) > limit else None)


@router.post("/{job_id}/cancel", summary="End a job and discard what it did")
def cancel(holder: Holder, services: ServicesOf, job_id: str) -> JobView:
    """A waiting or queued job ends at once; a running one is asked to end and does so within seconds."""
    return _end(services, holder, job_id, StopRequest.CANCEL)


@router.post("/{job_id}/stop", summary="End a job early and keep its best so far")
def stop(holder: Holder, services: ServicesOf, job_id: str) -> JobView:
    """With nothing to keep it ends `cancelled` with the reason `stopped_by_user`."""
    return _end(services, holder, job_id, StopRequest.STOP)


def _end(services: Services, holder: KeyHolder, job_id: str, request: StopRequest) -> JobView:
    with services.database.write() as session:
        job = find(session, job_id, visible_owner(holder))
        if job is None:
            raise not_found("job", job_id)
        try:
            request_stop(session, job, request)
        except AlreadyFinal as exc:
            detail = f"The job is {job.state} already; there is nothing left to {request}."
            raise Problem(HTTPStatus.CONFLICT, "job_is_final", detail, state=job.state) from exc
        session.refresh(job)
        view = job_view(session, job)
    if view.state == State.RUNNING:
        services.waker.tell([job_id])
    elif State(view.state).is_final:
        services.tailer.hear_soon([job_id])
    return view


def _tags_of(request: Request) -> dict[str, str]:
    """The ``tag.NAME`` filters; raises the 422 problem for a filter that does not exist, which would list too much."""
    unknown = [name for name in request.query_params if name not in _FILTERS and not name.startswith(_TAG)]
    if unknown:
        raise invalid([FieldError(name, "There is no such filter.", "unknown_field") for name in unknown])
    tags = {name.removeprefix(_TAG): value for name, value in request.query_params.items() if name.startswith(_TAG)}
    if any('"' in name or not name for name in tags):
        raise invalid([FieldError("tag", "A tag's name has letters, digits and . _ : / - only.", "invalid_tag")])
    return tags
