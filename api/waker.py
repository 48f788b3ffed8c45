"""Wakes the workers after a cancel or a stop, outside of the request that asked for it."""

import threading
from collections.abc import Sequence
from typing import Protocol

import structlog

from tasks.broker import BrokerUnavailable

log = structlog.get_logger()


class Broadcaster(Protocol):
    """What publishes wakes: ``tasks.wakes.WakeSender``."""

    def send(self, job_ids: Sequence[str]) -> None:
        """Raises ``BrokerUnavailable``."""


class Waker:
    """One background thread. A wake that can't be sent is dropped: by the time the broker is back, the workers have
    renewed their leases and seen the request."""

    def __init__(self, broadcaster: Broadcaster) -> None:
        self._broadcaster = broadcaster
        self._changed = threading.Condition()
        self._job_ids: set[str] = set()
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
        self._thread.start()

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def wake(self, job_id: str) -> None:
        """Have the worker that runs the job look at what is asked of it. Returns at once."""
        with self._changed:
            self._job_ids.add(job_id)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._job_ids or self._closing)
                if self._closing:
                    return
                job_ids, self._job_ids = sorted(self._job_ids), set()
            try:
                self._broadcaster.send(job_ids)
            except BrokerUnavailable as exc:
                log.warning("workers_not_woken", jobs=len(job_ids), why=str(exc))
