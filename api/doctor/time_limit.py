"""Asking what may never answer: a frozen database or broker holds a thread, not the answer."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

_T = TypeVar("_T")


class TimedOut(Exception):
    """There was no answer in time."""


class Asker:
    """Runs functions in threads of their own. While a question waits for its answer it is not asked again, so that
    however often somebody looks, one frozen server holds one thread."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._lock = threading.Lock()
        self._asked: dict[str, Future[Any]] = {}

    async def ask(self, name: str, question: Callable[[], _T]) -> _T:
        """The answer, or what the question raised. Raises ``TimedOut``. Whoever asks the same meanwhile gets the same
        answer, so a question's ``name`` has to say all that it depends on."""
        waiting = asyncio.wrap_future(self._future(name, question))
        done, _ = await asyncio.wait([waiting], timeout=self._limit_seconds)
        if not done:
            waiting.cancel()
            raise TimedOut
        return waiting.result()

    def _future(self, name: str, question: Callable[[], _T]) -> "Future[_T]":
        with self._lock:
            future: Future[_T] | None = self._asked.get(name)
            if future is None:
                future = self._asked[name] = Future()
                # Else one who gives up waiting would cancel it for all.
                future.set_running_or_notify_cancel()
                threading.Thread(target=self._answer, args=(name, question, future), name=name, daemon=True).start()
            return future

    def _answer(self, name: str, question: Callable[[], _T], future: "Future[_T]") -> None:
        try:
            answer = question()
        except BaseException as exc:  # noqa: BLE001 - raised again where it is awaited
            self._forget(name)
            future.set_exception(exc)
        else:
            self._forget(name)
            future.set_result(answer)

    def _forget(self, name: str) -> None:
        with self._lock:
            del self._asked[name]
