"""Flower's source of events. Celery's own are quick, but they get lost, come late, twice and out of order, and nobody
sends one for a worker that was killed. So what they touch is looked up in SQL, and so is what moved without them."""

import time
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

import structlog
from celery import Celery, states
from celery.events import EventReceiver
from flower.events import Events
from kombu.exceptions import OperationalError as BrokerError
from sqlalchemy.exc import DBAPIError
from tornado.ioloop import IOLoop, PeriodicCallback

from db.engine import Database
from db.standings import Standing, between_attempts, moving, standings
from tasks.queues import Queue
from workers.flower_tasks import forget, show

log = structlog.get_logger()

_ROUND_SECONDS = 2.0
_RECONNECT_SECONDS = 2.0
# What a Flower that just started shows of the past, and the longest it makes good for after an outage of the database.
_PAST = timedelta(hours=1)
_MOST = 2000
# A transaction may commit some time after it wrote down when the job ended.
_LATE_COMMITS = timedelta(seconds=15)


class TrueEvents(Events):  # type: ignore[misc] # Flower carries no types
    """Keeps what Flower shows true to SQL. Flower lists jobs and nothing else.

    Celery's events are shown at once. Every two seconds each job that an event touched since, each that is not final
    and each that ended lately is shown as SQL has it, so that an error lasts no longer than that. Without a database
    Flower shows the events alone.
    """

    def __init__(self, database: Database, capp: Celery, io_loop: IOLoop, **options: Any) -> None:
        super().__init__(capp, io_loop, **options)
        self._database = database
        self._touched: set[str] = set()
        self._open = {task_id for task_id, task in self.state.itertasks() if task.state not in states.READY_STATES}
        self._read_at: float | None = None
        self._rounds = PeriodicCallback(self.look, _ROUND_SECONDS * 1000)

    def start(self) -> None:
        super().start()
        self._rounds.start()

    def stop(self) -> None:
        self._rounds.stop()
        super().stop()

    def run(self) -> None:
        """Take events for ever. Flower's own way waits twice as long after each failure, without a bound."""
        while True:
            with self.capp.connection() as connection:
                try:
                    EventReceiver(connection, handlers={"*": self.on_event}, app=self.capp).capture()
                except (BrokerError, *connection.connection_errors, *connection.channel_errors) as exc:
                    log.warning("events_interrupted", why=type(exc).__name__)
            time.sleep(_RECONNECT_SECONDS)

    def on_event(self, event: dict[str, Any]) -> None:
        super().on_event(event)
        if event["type"].startswith("task-"):
            self.io_loop.add_callback(self._touch, event["uuid"])

    def _touch(self, job_id: str) -> None:
        # Looked up in the loop, not where the event arrives: a round may take the set in between.
        self._touched.add(job_id)

    async def look(self) -> None:
        """One round. Runs in Flower's event loop, as everything does that changes what Flower shows."""
        asked = self._touched | self._open
        self._touched = set()
        began = time.monotonic()
        try:
            found = await self.io_loop.run_in_executor(None, self._read, asked)
        except DBAPIError as exc:
            log.warning("jobs_not_read", why=type(exc).__name__)
            self._touched |= asked
            return
        self._read_at = began
        # What an event touched meanwhile may have moved on since it was read; that one's turn is the next round.
        for job in found:
            if job.job_id not in self._touched:
                show(self.state, job, self.capp.clock.forward)
        for job_id in asked - {job.job_id for job in found} - self._touched:
            forget(self.state, job_id)
        self._open = {job.job_id for job in found if not job.state.is_final}

    def _read(self, asked: Collection[str]) -> Sequence[Standing]:
        since = _PAST if self._read_at is None else timedelta(seconds=time.monotonic() - self._read_at) + _LATE_COMMITS
        with self._database.read() as session:
            which = moving(session, queues=list(Queue), ended_within=min(since, _PAST), limit=_MOST)
            if self._read_at is None:
                which |= between_attempts(session, limit=_MOST)
            return standings(session, which | set(asked))
