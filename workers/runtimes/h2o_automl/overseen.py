"""A call that may take very long, or for ever, without leaving its caller in the dark."""

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def overseen(call: Callable[[], T], look: Callable[[], None], every_seconds: float) -> T:
    """What ``call`` returns or raises. Meanwhile ``look`` is called again and again; if it raises, so does this, and
    the call is left to a thread that ends with it or with the process."""
    answers: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except BaseException as exc:  # noqa: BLE001 - raised again in the caller's thread
            answers.put((None, exc))

    threading.Thread(target=run, name="overseen-call", daemon=True).start()
    while True:
        try:
            answer, error = answers.get(timeout=every_seconds)
        except queue.Empty:
            look()
            continue
        if error is not None:
            raise error
        return answer  # type: ignore[return-value]
