"""Tests wait for a condition with a deadline, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], seconds: float = 30, *, what: str = "the condition") -> T:
    """The first true value of the condition."""
    give_up_at = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < give_up_at, f"{what} did not come true in {seconds:g} s"
        time.sleep(0.02)
    return value
