"""Hears from workers which jobs have ended, so that who waits for one is not kept until the next poll."""

import asyncio

import structlog

from api.services import Services
from tasks.broker import BrokerUnavailable

log = structlog.get_logger()

_RETRY_SECONDS = 1.0


async def hear_ends(services: Services) -> None:
    """Until cancelled, or at once if the broker can't tell. While it is away, polls alone tell of ends."""
    is_away = False
    while True:
        try:
            async for job_ids in services.end_listener.ends():
                is_away = False
                services.tailer.hear(job_ids)
            return
        except BrokerUnavailable as exc:
            if not is_away:
                log.warning("ends_not_heard", why=str(exc))
            is_away = True
        await asyncio.sleep(_RETRY_SECONDS)
