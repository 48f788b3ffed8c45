"""Waiting for a job without holding a thread or a transaction."""

import time

from fastapi import Request

from api.auth import visible_owner
from api.job_views import JobView
from api.services import Services
from db.owners import KeyHolder
from db.states import State

LONGEST_WAIT_SECONDS = 60
# How soon a client that went away is noticed.
_LOOK_SECONDS = 1.0


async def wait_until_final(
    request: Request, services: Services, holder: KeyHolder, job_id: str, wait_seconds: float, *, is_new: bool = False
) -> JobView:
    """The job as soon as it is final, or as it is when the time has run out or the client has gone. One that is new is
    not looked at before something has happened to it. Raises the 404 problem."""
    give_up = time.monotonic() + wait_seconds
    has_news, is_over = not is_new, False
    while True:
        left = give_up - time.monotonic()
        is_over = is_over or left <= 0 or services.tailer.closing
        if is_over or has_news:
            view = await services.job_reader.read(job_id, visible_owner(holder))
            if is_over or State(view.state).is_final:
                return view
        has_news = await services.tailer.ended(job_id, min(left, _LOOK_SECONDS))
        is_over = not has_news and await request.is_disconnected()
