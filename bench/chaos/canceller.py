"""Cancels those of the stream's jobs that are to be cancelled, each when its moment has come."""

import heapq
import threading
import time
from collections.abc import Callable

from bench.chaos.evidence import Cancelled


class Canceller:
    """In a thread of its own, which ``cancel`` may make wait; what that raises ends it and is kept in ``failures``.
    ``cancel`` returns whether it was promised."""

    def __init__(self, cancel: Callable[[str], bool]) -> None:
        self._cancel = cancel
        self._due: list[tuple[float, str]] = []
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cancel", daemon=True)
        self.cancelled: list[Cancelled] = []
        self.failures: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def expect(self, job_id: str, after_seconds: float) -> None:
        with self._lock:
            heapq.heappush(self._due, (time.monotonic() + after_seconds, job_id))

    def close(self) -> None:
        """Once everything ended: nothing is left to cancel."""
        self._ending.set()
        self._thread.join(60)

    def _run(self) -> None:
        try:
            while not self._ending.wait(0.02):
                with self._lock:
                    due = self._due and self._due[0][0] <= time.monotonic()
                    job_id = heapq.heappop(self._due)[1] if due else None
                if job_id is not None:
                    asked_at = time.monotonic()
                    granted = self._cancel(job_id)
                    self.cancelled.append(Cancelled(job_id, asked_at, granted))
        except (RuntimeError, TimeoutError) as exc:
            self.failures.append(str(exc))
