"""A job's events: as a stream of server-sent events, or in pages."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from api.auth import Holder, visible_owner
from api.problems import FieldError, invalid, not_found
from api.services import Services, ServicesOf
from db.events import events_after
from db.jobs import find
from db.owners import KeyHolder
from db.rows import EventRow
from db.states import EventType, State

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_STREAM_BATCH = 500
# What the databases take as a number.
_HIGHEST_NUMBER = 2**31 - 1
# A client that loses the connection comes back after this long.
_RECONNECT_MS = 1000


class EventView(BaseModel):
    """One entry of a job's stream; ``seq`` counts from 1 without gaps."""

    seq: int
    attempt: int
    type: EventType
    created_at: datetime
    data: dict[str, Any]


class EventPage(BaseModel):
    """Some events in order; ask again with ``after`` set to ``next_after``. ``complete``: no more will come."""

    events: list[EventView]
    next_after: int
    complete: bool


@router.get(
    "/{job_id}/events",
    summary="What happens to a job, live",
    response_model=EventPage,
    responses={200: {"content": {"text/event-stream": {}}}, 204: {"description": "Nothing is left to stream."}},
)
async def get_events(
    holder: Holder,
    services: ServicesOf,
    job_id: str,
    format: Annotated[Literal["sse", "json"], Query(description="json: a page instead of a stream.")] = "sse",  # noqa: A002 - the parameter's public name
    after: Annotated[int, Query(ge=0, le=_HIGHEST_NUMBER, description="Only events numbered above this.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most events in a page.")] = 500,
    last_event_id: Annotated[str | None, Header(description="Resumes a stream; wins over `after`.")] = None,
) -> Response | EventPage:
    """The stream's events are `state`, `progress`, `log`, `leaderboard`, `output`, `artifact` and, last, `final`."""
    start = after if last_event_id is None else _number(last_event_id)
    if format == "json":
        return await run_in_threadpool(_page, services, holder, job_id, after, limit)
    first = await run_in_threadpool(_page, services, holder, job_id, start, _STREAM_BATCH)
    if first.complete and not first.events:
        # The one answer after which a browser's EventSource does not come back.
        return Response(status_code=204)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    stream = _stream(services, holder, job_id, first)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _stream(services: Services, holder: KeyHolder, job_id: str, page: EventPage) -> AsyncIterator[str]:
    yield f"retry: {_RECONNECT_MS}\n\n"
    keep_alive = services.settings.keep_alive.total_seconds()
    while True:
        if page.events:
            yield "".join(_framed(event) for event in page.events)
        if page.complete or services.tailer.closing:
            return
        if not page.events and not await services.tailer.changed(job_id, page.next_after, keep_alive):
            yield ": still here\n\n"
        page = await run_in_threadpool(_page, services, holder, job_id, page.next_after, _STREAM_BATCH)


def _framed(event: EventView) -> str:
    return f"id: {event.seq}\nevent: {event.type}\ndata: {event.model_dump_json()}\n\n"


def _page(services: Services, holder: KeyHolder, job_id: str, after: int, limit: int) -> EventPage:
    with services.database.read() as session:
        job = find(session, job_id, visible_owner(holder))
        if job is None:
            raise not_found("job", job_id)
        rows = events_after(session, job_id, after, limit)
        reached = rows[-1].seq if rows else after
        # Old events may have been forgotten, so an empty page of a final job is complete too.
        complete = State(job.state).is_final and (reached >= job.last_event_seq or not rows)
    return EventPage(events=_views(rows), next_after=reached, complete=complete)


def _views(rows: Sequence[EventRow]) -> list[EventView]:
    return [
        EventView(seq=row.seq, attempt=row.attempt, type=EventType(row.type), created_at=row.created_at, data=row.data)
        for row in rows
    ]


def _number(last_event_id: str) -> int:
    if not last_event_id.isascii() or not last_event_id.isdigit() or len(last_event_id) > 9:
        raise invalid([FieldError("Last-Event-ID", "Send the id of the last event that you saw, a number.")])
    return int(last_event_id)
