"""Broadcasts outside of whoever has something to tell: nobody waits for a slow broker."""

import threading
from collections.abc import Collection, Sequence
from typing import Protocol

import structlog

from tasks.broker import BrokerUnavailable

log = structlog.get_logger()


class Broadcaster(Protocol):
    """What publishes: ``tasks.wakes.WakeSender``, ``tasks.ends.EndSender``."""

    def send(self, job_ids: Sequence[str]) -> None:
        """Raises ``BrokerUnavailable``."""


class Teller:
    """One background thread. What can't be sent is dropped, so it tells only of what its hearers find out without it,
    later."""

    def __init__(self, broadcaster: Broadcaster, what: str) -> None:
        """``what`` is told, for the log."""
        self._broadcaster = broadcaster
        self._what = what
        self._changed = threading.Condition()
        # In their order, each once.
        self._job_ids: dict[str, None] = {}
        self._closing = False
        self._is_heard = True
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"tell-{self._what}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Tell what is left, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def tell(self, job_ids: Collection[str]) -> None:
        """Have it told that something befell these jobs. Returns at once."""
        with self._changed:
            self._job_ids.update(dict.fromkeys(job_ids))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._job_ids or self._closing)
                if not self._job_ids:
                    return
                job_ids, self._job_ids = list(self._job_ids), {}
            try:
                self._broadcaster.send(job_ids)
            except BrokerUnavailable as exc:
                if self._is_heard:
                    log.warning("not_told", what=self._what, why=str(exc))
                self._is_heard = False
            else:
                self._is_heard = True
