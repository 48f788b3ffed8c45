"""Wakes whoever waits for a job's next event. One poll serves all waiters of a process; none of them holds a thread."""

import asyncio
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from db.engine import Database
from db.events import news_of

log = structlog.get_logger()

_POLL_SECONDS = 0.1
_PAUSE_AFTER_ERROR_SECONDS = 1.0


@dataclass(eq=False)
class _Waiter:
    seen: int
    woken: asyncio.Event


class Tailer:
    """Lives in one event loop: ``run`` polls, ``changed`` waits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiters: defaultdict[str, set[_Waiter]] = defaultdict(set)
        self._watched = asyncio.Event()
        self.closing = False

    @property
    def watched_jobs(self) -> int:
        return len(self._waiters)

    async def changed(self, job_id: str, seen: int, timeout_seconds: float) -> bool:
        """Wait until the job has an event numbered above ``seen``; False when the time ran out or the server closes."""
        if self.closing:
            return False
        waiter = _Waiter(seen, asyncio.Event())
        self._waiters[job_id].add(waiter)
        self._watched.set()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await waiter.woken.wait()
                    return not self.closing
            return False
        finally:
            self._forget(job_id, waiter)

    async def run(self) -> None:
        """Poll until cancelled; idle while nobody waits."""
        while True:
            await self._watched.wait()
            seen = {job_id: min(waiter.seen for waiter in waiters) for job_id, waiters in self._waiters.items()}
            try:
                news = await run_in_threadpool(self._poll, seen)
            except SQLAlchemyError as exc:
                log.warning("events_not_read", error=type(exc).__name__)
                await asyncio.sleep(_PAUSE_AFTER_ERROR_SECONDS)
                continue
            for job_id, newest in news.items():
                for waiter in self._waiters.get(job_id, ()):
                    if newest > waiter.seen:
                        waiter.woken.set()
            await asyncio.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """Wake everyone for the last time, so that open streams end and the server can stop."""
        self.closing = True
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.woken.set()

    def _poll(self, seen: dict[str, int]) -> dict[str, int]:
        with self._database.read() as session:
            return news_of(session, seen)

    def _forget(self, job_id: str, waiter: _Waiter) -> None:
        self._waiters[job_id].discard(waiter)
        if not self._waiters[job_id]:
            del self._waiters[job_id]
        if not self._waiters:
            self._watched.clear()
