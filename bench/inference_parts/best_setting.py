"""The batch size and the number of threads that suit a library best in one process."""

import os
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

_A_PART = 8
_LEAST = 256
_T = TypeVar("_T")


def best_setting(
    given: Sequence[_T],
    batch_sizes: Sequence[int],
    compute: Callable[[Sequence[_T], int, int], None],
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, str]:
    """Inputs a second of all of them with the setting that was best on a part of them, and which one that was.
    ``compute`` is called with inputs, a batch size and a number of threads."""

    def rate(some: Sequence[_T], batch_size: int, threads: int) -> float:
        began = clock()
        compute(some, batch_size, threads)
        return len(some) / (clock() - began)

    part = given[: max(_LEAST, len(given) // _A_PART)]
    for threads in thread_counts():
        compute(part[:_LEAST], batch_sizes[0], threads)
    settings = [(size, threads) for threads in thread_counts() for size in batch_sizes]
    size, threads = max(settings, key=lambda setting: rate(part, *setting))
    # Once more on everything, so that luck on the part does not count.
    return rate(given, size, threads), f"batches of {size}, threads: {threads}"


def thread_counts() -> list[int]:
    """One, and one for each core."""
    return sorted({1, len(os.sched_getaffinity(0))})
