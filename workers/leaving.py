"""How a worker ends when it is told to: its jobs first, then Celery, and in any case."""

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import structlog

from workers.supervisor import Supervisor

log = structlog.get_logger()

# A broker that does not answer holds up Celery's farewell for minutes; nothing of ours depends on it.
_CELERY_SECONDS = 3.0
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

    def __init__(self, supervisor: Supervisor, close: Callable[[], None]) -> None:
        """``close`` is the last step before the end of the process."""
        self._supervisor = supervisor
        self._close = close
        self._told: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self._leave, name="leave", daemon=True).start()

    def tell(self) -> None:
        """May be called by a signal handler, and more than once."""
        self._told.put(None)

    def _leave(self) -> None:
        self._told.get()
        self._supervisor.shut_down()
        while not self._supervisor.is_at_rest():
            time.sleep(_LOOK_SECONDS)
        # The main thread ends the process as soon as Celery has ended.
        time.sleep(_CELERY_SECONDS)
        log.warning("celery_does_not_end")
        self._close()
        end_process(0)
