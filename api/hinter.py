"""Tells the broker of new work, outside of the requests that brought it: a slow broker must not slow a submission."""

import threading
from collections.abc import Sequence
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError

from db.engine import Database
from db.hints import next_hints, unmark
from tasks.broker import BrokerUnavailable

log = structlog.get_logger()


class Sender(Protocol):
    """What publishes hints: ``tasks.hints.HintSender``."""

    def send(self, queue: str, hints: Sequence[tuple[str, str]]) -> None:
        """Publish (job id, kind) pairs; raises ``BrokerUnavailable``."""


class Hinter:
    """One background thread that refills the queues it was poked for, and goes on trying while the broker is away.

    Losing a poke loses no job: the workers' janitor refills too.
    """

    def __init__(self, database: Database, sender: Sender, retry_seconds: float = 1.0) -> None:
        self._database = database
        self._retry_seconds = retry_seconds
        self._sender = sender
        self._changed = threading.Condition()
        self._poked: set[str] = set()
        self._closing = False
        self._thread: threading.Thread | None = None
        self.broker_answers: bool | None = None
        self.sent = 0
        self.refused = 0

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="hinter", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; what is unsent stays queued in SQL."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def poke(self, queue: str) -> None:
        """Say that the queue may have new jobs. Returns at once."""
        with self._changed:
            self._poked.add(queue)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._poked or self._closing)
                if self._closing:
                    return
                queues, self._poked = self._poked, set()
            unsent = {queue for queue in queues if not self._refill(queue)}
            if unsent:
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, timeout=self._retry_seconds)
                    self._poked |= unsent

    def _refill(self, queue: str) -> bool:
        """Whether the queue needs no further try."""
        try:
            with self._database.write() as session:
                hints = next_hints(session, queue)
        except SQLAlchemyError as exc:
            log.warning("hints_not_read", queue=queue, error=type(exc).__name__)
            return False
        if not hints:
            return True
        try:
            self._sender.send(queue, [(hint.job_id, hint.kind) for hint in hints])
        except BrokerUnavailable:
            self.refused += 1
            self._note_broker(answers=False)
            self._take_back([hint.job_id for hint in hints])
            return False
        self.sent += len(hints)
        self._note_broker(answers=True)
        return True

    def _take_back(self, job_ids: Sequence[str]) -> None:
        try:
            with self._database.write() as session:
                unmark(session, job_ids)
        except SQLAlchemyError as exc:
            # The janitor clears marks that no message stands for.
            log.warning("hints_not_taken_back", jobs=len(job_ids), error=type(exc).__name__)

    def _note_broker(self, *, answers: bool) -> None:
        if answers is not self.broker_answers:
            log.info("broker_back" if answers else "broker_unavailable")
        self.broker_answers = answers
