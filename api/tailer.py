"""Wakes whoever waits for a job's end or its next event. One poll serves all waiters of a process; none of them holds a
thread. What workers tell of jobs that ended makes it quick, and the poll makes it sure."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from db.engine import Database
from db.events import Standing, standing_of

log = structlog.get_logger()

_POLL_SECONDS = 0.1
# While somebody tells of ends, who waits for those alone needs polls only for what gets lost.
_RARE_POLL_SECONDS = 0.5
_PAUSE_AFTER_ERROR_SECONDS = 1.0
# An end may be told before the request that submitted the job has begun to wait.
_REMEMBERED = 2000


@dataclass(eq=False)
class _Waiter:
    """``seen`` is the newest event that it knows; None: it waits for the end."""

    seen: int | None
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def heeds(self, standing: Standing) -> bool:
        return standing.is_final if self.seen is None else standing.last_event_seq > self.seen


class Tailer:
    """Lives in one event loop: ``run`` polls, ``changed`` and ``ended`` wait. ``is_told`` says whether somebody calls
    ``hear`` when jobs end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiters: defaultdict[str, set[_Waiter]] = defaultdict(set)
        self._ended_lately: dict[str, None] = {}
        self._watched = asyncio.Event()
        self._event_awaited = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closing = False
        self.is_told = False

    @property
    def watched_jobs(self) -> int:
        return len(self._waiters)

    async def changed(self, job_id: str, seen: int, timeout_seconds: float) -> bool:
        """Wait until the job has an event numbered above ``seen``; False when the time ran out or the server closes."""
        return await self._wait(job_id, _Waiter(seen), timeout_seconds)

    async def ended(self, job_id: str, timeout_seconds: float) -> bool:
        """Wait until the job seems final, which whoever asks has to look at; False when the time ran out or the server
        closes."""
        if job_id in self._ended_lately:
            del self._ended_lately[job_id]
            return not self.closing
        return await self._wait(job_id, _Waiter(None), timeout_seconds)

    def hear(self, job_ids: Iterable[str]) -> None:
        """Take somebody's word that these jobs have ended. It decides nothing: who waits for them has a look."""
        for job_id in job_ids:
            waiters = self._waiters.get(job_id)
            if waiters is None:
                self._ended_lately[job_id] = None
                continue
            for waiter in waiters:
                waiter.woken.set()
        while len(self._ended_lately) > _REMEMBERED:
            del self._ended_lately[next(iter(self._ended_lately))]

    def hear_soon(self, job_ids: Iterable[str]) -> None:
        """The same from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.hear, job_ids)

    async def run(self) -> None:
        """Poll until cancelled; idle while nobody waits."""
        self._loop = asyncio.get_running_loop()
        while True:
            await self._watched.wait()
            self._event_awaited.clear()
            try:
                standings = await run_in_threadpool(self._poll, list(self._waiters))
            except SQLAlchemyError as exc:
                log.warning("events_not_read", error=type(exc).__name__)
                await asyncio.sleep(_PAUSE_AFTER_ERROR_SECONDS)
                continue
            for standing in standings:
                for waiter in self._waiters.get(standing.job_id, ()):
                    if waiter.heeds(standing):
                        waiter.woken.set()
            if self.is_told and self._only_ends():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_RARE_POLL_SECONDS):
                        await self._event_awaited.wait()
            else:
                await asyncio.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """Wake everyone for the last time, so that open streams end and the server can stop."""
        self.closing = True
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.woken.set()

    async def _wait(self, job_id: str, waiter: _Waiter, timeout_seconds: float) -> bool:
        if self.closing:
            return False
        self._waiters[job_id].add(waiter)
        if waiter.seen is not None:
            self._event_awaited.set()
        self._watched.set()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await waiter.woken.wait()
                    return not self.closing
            return False
        finally:
            self._forget(job_id, waiter)

    def _poll(self, job_ids: list[str]) -> list[Standing]:
        with self._database.read() as session:
            return standing_of(session, job_ids)

    def _only_ends(self) -> bool:
        return all(waiter.seen is None for waiters in self._waiters.values() for waiter in waiters)

    def _forget(self, job_id: str, waiter: _Waiter) -> None:
        self._waiters[job_id].discard(waiter)
        if not self._waiters[job_id]:
            del self._waiters[job_id]
        if not self._waiters:
            self._watched.clear()
