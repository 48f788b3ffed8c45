"""Waiting for a job without holding a thread or a transaction."""

import time

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from api.auth import visible_owner
from api.job_views import JobView, job_view
from api.problems import not_found
from api.services import Services
from db.jobs import find
from db.owners import KeyHolder
from db.states import State

LONGEST_WAIT_SECONDS = 60
# How soon a client that went away is noticed.
_LOOK_SECONDS = 1.0


def read_job(services: Services, holder: KeyHolder, job_id: str) -> tuple[JobView, int]:
    """The job and the number of its newest event; raises the 404 problem."""
    with services.database.read() as session:
        job = find(session, job_id, visible_owner(holder))
        if job is None:
            raise not_found("job", job_id)
        return job_view(session, job), job.last_event_seq


async def wait_until_final(
    request: Request, services: Services, holder: KeyHolder, job_id: str, wait_seconds: float
) -> JobView:
    """The job as soon as it is final, or as it is when the time has run out or the client has gone."""
    give_up = time.monotonic() + wait_seconds
    while True:
        view, seq = await run_in_threadpool(read_job, services, holder, job_id)
        while True:
            left = give_up - time.monotonic()
            if State(view.state).is_final or left <= 0 or services.tailer.closing or await request.is_disconnected():
                return view
            if await services.tailer.changed(job_id, seq, min(left, _LOOK_SECONDS)):
                break
