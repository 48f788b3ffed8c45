"""Tells the broker of new work, outside of the requests that brought it: a slow broker must not slow a submission."""

import threading
import time
from collections.abc import Sequence
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError

from db.engine import Database
from db.hints import Hint, is_window_full, next_hints, unmark
from tasks.broker import BrokerUnavailable

log = structlog.get_logger()

_FULL_WINDOW_SECONDS = 0.025


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
        self._marked: list[tuple[str, Sequence[Hint]]] = []
        self._rests_until: dict[str, float] = {}
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

    def wants_hints(self, queue: str) -> bool:
        """Whether who submits should mark hints in the same transaction. Not while the broker is away, nor just after
        the queue's window was found full."""
        return self.broker_answers is not False and time.monotonic() >= self._rests_until.get(queue, 0.0)

    def pass_on(self, queue: str, hints: Sequence[Hint] | None) -> None:
        """Send hints whose marks are committed. None means that nobody looked whether there are any; an empty list,
        after a submission, that the window is full. Returns at once."""
        with self._changed:
            if hints:
                self._marked.append((queue, hints))
            else:
                self._poked.add(queue)
            if hints is not None and not hints:
                # Until then its worker has begun a job or two, and whoever submits need not look each time.
                self._rests_until[queue] = time.monotonic() + _FULL_WINDOW_SECONDS
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._closing or self._marked or self._ready()):
                    self._changed.wait(self._seconds_of_rest())
                if self._closing:
                    return
                marked, self._marked = self._marked, []
                queues = self._ready()
                self._poked -= queues
            unsent = {queue for queue, hints in marked if not self._send(queue, hints)}
            unsent |= {queue for queue in queues if not self._refill(queue)}
            if unsent:
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, timeout=self._retry_seconds)
                    self._poked |= unsent

    def _ready(self) -> set[str]:
        now = time.monotonic()
        return {queue for queue in self._poked if self._rests_until.get(queue, 0.0) <= now}

    def _seconds_of_rest(self) -> float | None:
        """How long until a queue that was poked is ready; None if there is none."""
        ends = [self._rests_until.get(queue, 0.0) for queue in self._poked]
        return max(min(ends) - time.monotonic(), 0.0) if ends else None

    def _refill(self, queue: str) -> bool:
        """Whether the queue needs no further try."""
        try:
            # On SQLite only one writes at a time, and under load the window is mostly full.
            with self._database.read() as session:
                if is_window_full(session, queue):
                    return True
            with self._database.write() as session:
                hints = next_hints(session, queue)
        except SQLAlchemyError as exc:
            log.warning("hints_not_read", queue=queue, error=type(exc).__name__)
            return False
        return not hints or self._send(queue, hints)

    def _send(self, queue: str, hints: Sequence[Hint]) -> bool:
        """Whether they went out; if not, they are hinted anew later."""
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
