"""Reads jobs for many requests at once: whoever asks while a look at the database is on its way is answered by the next
one. A look costs about as much for many jobs as for one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.concurrency import run_in_threadpool

from api.job_views import JobView, job_views
from api.problems import not_found
from db.engine import Database
from db.jobs import find_all

log = structlog.get_logger()

# Specs and results may be large.
_MOST_AT_ONCE = 50


@dataclass(frozen=True, eq=False)
class _Asked:
    job_id: str
    owner_id: str | None
    answer: "asyncio.Future[JobView]"


class JobReader:
    """Lives in one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked: list[_Asked] = []
        self._looking: asyncio.Task[None] | None = None

    async def read(self, job_id: str, owner_id: str | None) -> JobView:
        """The job, if the owner may see it (None: whoever it belongs to). Raises the 404 problem, and what the database
        says."""
        asked = _Asked(job_id, owner_id, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        return await asked.answer

    async def _look(self) -> None:
        try:
            while self._asked:
                some, self._asked = self._asked[:_MOST_AT_ONCE], self._asked[_MOST_AT_ONCE:]
                for asked, found in zip(some, await run_in_threadpool(self._read, some), strict=True):
                    # One whose client has gone is cancelled.
                    if asked.answer.done():
                        continue
                    if isinstance(found, Exception):
                        asked.answer.set_exception(found)
                    else:
                        asked.answer.set_result(found)
        finally:
            self._looking = None

    def _read(self, asked: Sequence[_Asked]) -> Sequence[JobView | Exception]:
        try:
            return self._views(asked)
        except (OperationalError, PoolTimeout) as exc:
            return [exc for _ in asked]
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is the answer to a request and must not end the others
            gone = isinstance(exc, DBAPIError) and exc.connection_invalidated
            if gone or len(asked) == 1:
                return [exc for _ in asked]
            # One of them can't be shown; apart, the others can.
            log.warning("jobs_read_one_by_one", error=type(exc).__name__, jobs=len(asked))
            return [found for one in asked for found in self._read([one])]

    def _views(self, asked: Sequence[_Asked]) -> Sequence[JobView | Exception]:
        with self._database.read() as session:
            jobs = find_all(session, {one.job_id for one in asked})
            views = {view.id: view for view in job_views(session, list(jobs.values()))}
        found: list[JobView | Exception] = []
        for one in asked:
            job = jobs.get(one.job_id)
            may_see = job is not None and one.owner_id in (None, job.owner_id)
            found.append(views[one.job_id] if may_see else not_found("job", one.job_id))
        return found
