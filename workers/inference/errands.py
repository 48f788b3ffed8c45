"""Slow steps that nothing can interrupt, such as importing a library or loading a model. Each is done in a thread of
its own, so that a job that is to end meanwhile can go: else its runner, which others have too, ends for its sake. One
that a job went away from and that goes on for long ends the process: it hangs, and would hang for who comes next."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from tasks.contracts import JobContext
from workers.inference.attention import Attention
from workers.inference.errors import end_process

_LOOK_SECONDS = 0.1
# Longer than any import, and than reading all of a large model from a slow disk.
_LONGEST_SECONDS = 1800.0

Found = TypeVar("Found")


class Errands:
    """Safe to use from several threads."""

    def __init__(self, longest_seconds: float = _LONGEST_SECONDS, on_hang: Callable[[], None] = end_process) -> None:
        """``on_hang`` is called if something goes on for ``longest_seconds`` after a job went away from it."""
        self._longest_seconds = longest_seconds
        self._on_hang = on_hang
        self._running: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def result(self, key: Hashable, do: Callable[[], Found], job: JobContext) -> Found:
        """What ``do`` returns or raises; jobs that ask with an equal ``key`` meanwhile share it. It is done to its end
        even if all of them have gone. Raises ``JobCancelled``, ``JobStoppedEmpty`` and ``JobHandedBack``."""
        with self._lock:
            errand = self._running.get(key)
            if errand is None:
                errand = self._running[key] = Future()
                threading.Thread(target=self._run, args=(key, do, errand), name="errand", daemon=True).start()
        attention = Attention(job)
        try:
            while not wait([errand], _LOOK_SECONDS).done:
                attention.look()
            found: Found = errand.result()
            return found
        finally:
            if not errand.done():
                threading.Thread(target=self._watch, args=(errand,), name="watch-errand", daemon=True).start()
            # An error has this frame in its traceback: in a circle with it, it would keep alive what its other frames
            # refer to, such as locks, until garbage is collected.
            del errand

    def _watch(self, errand: "Future[Any]") -> None:
        if wait([errand], self._longest_seconds).not_done:
            self._on_hang()

    def _run(self, key: Hashable, do: Callable[[], Any], errand: "Future[Any]") -> None:
        try:
            found = do()
        except BaseException as exc:  # noqa: BLE001 - raised where it is waited for, whatever it is
            self._forget(key)
            errand.set_exception(exc)
        else:
            self._forget(key)
            errand.set_result(found)
        finally:
            # As in `result`.
            del errand

    def _forget(self, key: Hashable) -> None:
        with self._lock:
            del self._running[key]
