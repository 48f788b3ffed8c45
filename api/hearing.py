"""Hears from workers which jobs have ended, so that who waits for one is not kept until the next poll."""

import asyncio

import structlog

from api.services import Services
from tasks.broker import BrokerUnavailable

log = structlog.get_logger()

_RETRY_SECONDS = 1.0


async def hear_ends(services: Services) -> None:
    """Until cancelled, or at once if the broker can't tell. While it is away, polls alone tell of ends."""
    tailer = services.tailer
    was_told = True
    while True:
        try:
            async for job_ids in services.end_listener.ends():
                tailer.is_told = was_told = True
                tailer.hear(job_ids)
            return
        except BrokerUnavailable as exc:
            if was_told:
                log.warning("ends_not_heard", why=str(exc))
        except Exception:
            log.exception("hearing_broke")
        tailer.is_told = was_told = False
        await asyncio.sleep(_RETRY_SECONDS)
