"""How a worker ends when it is told to: its jobs first, then Celery, and in any case."""

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import FrameType
from typing import NoReturn

import structlog

from workers.supervisor import Supervisor

log = structlog.get_logger()

# A broker that does not answer holds up Celery's farewell for minutes; nothing of ours depends on it.
_CELERY_SECONDS = 3.0
# After the grace period: 1.5 s later the last runner is killed; the rest is for the database to take what became of it.
_LAST_SECONDS = 4.0
_GOODBYE_SECONDS = 1.0
_LOOK_SECONDS = 0.05


class ToldToEnd(SystemExit):
    """SIGTERM came before Celery listens for it."""


def raise_when_told() -> None:
    """From now on SIGTERM raises ``ToldToEnd`` in the main thread."""
    signal.signal(signal.SIGTERM, _raise)


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise ToldToEnd(0)


def end_process(code: int) -> NoReturn:
    """Celery's threads may still hold connections that nobody needs any more; there is nothing left to wait for."""
    log.info("worker_stopped")
    sys.stderr.flush()
    os._exit(code)


class Leaving:
    """Waits in a thread for being told: signal handlers run in the midst of anything, of themselves too, and must not
    wait for a lock."""

    def __init__(self, supervisor: Supervisor, grace: timedelta, close: Callable[[], None]) -> None:
        """``close`` is the last step before the end of the process."""
        self._supervisor = supervisor
        self._patience = grace.total_seconds() + _LAST_SECONDS
        self._close = close
        self._told: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._at_rest = threading.Event()
        self._celery_knows = False
        self.was_told = False
        threading.Thread(target=self._leave, name="leave", daemon=True).start()

    def tell(self) -> None:
        """May be called by a signal handler, and more than once."""
        self.was_told = True
        self._told.put(None)

    def hear_first(self, number: signal.Signals) -> None:
        """Be told by this signal before Celery is, whose handler takes locks: a burst of signals, each handled amid the
        one before, would make it wait for itself. It gets the first one only. For the main thread."""
        celery_s = signal.getsignal(number)
        if not callable(celery_s):
            raise TypeError(f"Celery does not listen for {number.name}")

        def heard(number: int, frame: FrameType | None) -> None:
            self.tell()
            if not self._celery_knows:
                self._celery_knows = True
                celery_s(number, frame)

        signal.signal(number, heard)

    def finish(self) -> None:
        """Wait for the jobs that Celery knows nothing of, since no hint brought them; for the main thread, after
        Celery's end. Does not return if they are left behind."""
        self.tell()
        self._at_rest.wait()

    def _leave(self) -> None:
        self._told.get()
        give_up_at = time.monotonic() + self._patience
        self._supervisor.shut_down()
        while not self._supervisor.is_at_rest():
            if time.monotonic() > give_up_at:
                self._leave_behind()
            time.sleep(_LOOK_SECONDS)
        self._at_rest.set()
        # The main thread ends the process as soon as Celery has ended.
        time.sleep(_CELERY_SECONDS)
        log.warning("worker_does_not_end_by_itself")
        # To a database that does not answer, there is no goodbye either.
        closing = threading.Thread(target=self._close, name="close", daemon=True)
        closing.start()
        closing.join(_GOODBYE_SECONDS)
        end_process(0)

    def _leave_behind(self) -> NoReturn:
        """The database takes nothing. The runners end with this process; the leases lapse, and the jobs run again."""
        left = " ".join(f"{token.job_id}/{token.attempt}" for token in self._supervisor.unfinished())
        log.warning("attempts_left_behind", attempts=left)
        end_process(0)
