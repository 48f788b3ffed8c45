"""Sees to it that no job takes the memory of its neighbours: a runner that goes beyond its limit is killed."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable

import structlog

from workers.memory import family, kernel_kills, shared_out_bytes, used_bytes

log = structlog.get_logger()

_LOOK_SECONDS = 0.1
# Finding new children, and asking what the kernel killed, takes longer and is urgent less often.
_WIDER_LOOK_EVERY = 5
# Counting what processes share once takes long; at most this part of one core's time goes into it.
_EXACT_SHARE = 0.05
# The kernel may need some seconds to take a large process apart, after which only we learn of its end.
_LATELY_SECONDS = 10.0


class RunnerMemory:
    """What is known of one runner's memory. ``peak_bytes``: the most that was seen during the present job."""

    def __init__(self, pid: int, kill: Callable[[], None]) -> None:
        self.pid = pid
        self.kill = kill
        self.exceeded = False
        self.peak_bytes = 0
        self.family = [pid]
        self._exact_again_at = 0.0
        self._used_exactly = 0

    def job_begins(self) -> None:
        self.peak_bytes = 0

    def look(self, limit_bytes: int) -> int:
        """What the runner and its children use."""
        used = sum(map(used_bytes, self.family))
        if used > limit_bytes and len(self.family) > 1:
            # Forked processes share most of their memory.
            used = self._counted_once()
        self.peak_bytes = max(self.peak_bytes, used)
        return used

    def _counted_once(self) -> int:
        started = time.monotonic()
        if started >= self._exact_again_at:
            self._used_exactly = shared_out_bytes(self.family)
            ended = time.monotonic()
            self._exact_again_at = ended + (ended - started) / _EXACT_SHARE
        return self._used_exactly


class MemoryWatch:
    """Looks at the runners of a worker that have a job, ten times a second, in one thread."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._watched: set[RunnerMemory] = set()
        self._someone = threading.Event()
        self._kernel_kills = kernel_kills()
        self._last_kernel_kill = float("-inf")
        threading.Thread(target=self._loop, name="watch-memory", daemon=True).start()

    def begin(self, runner: RunnerMemory) -> None:
        """The runner gets a job."""
        runner.job_begins()
        with self._lock:
            self._watched.add(runner)
        if not self._someone.is_set():
            self._someone.set()

    def end(self, runner: RunnerMemory) -> None:
        with self._lock:
            self._watched.discard(runner)

    def is_full(self, runner: RunnerMemory, reported_peak: float, kept_bytes: int = 0) -> bool:
        """Whether the runner kept so much of what a job took that the next one would lack it. What it is meant to keep,
        such as models, does not count."""
        half = self.limit_bytes / 2
        most_used = max(runner.peak_bytes, reported_peak)
        return most_used > half and runner.look(self.limit_bytes) - kept_bytes > half

    def kernel_killed_lately(self) -> bool:
        """Whether the kernel killed some process for want of memory just now."""
        self._count_kernel_kills()
        return time.monotonic() - self._last_kernel_kill < _LATELY_SECONDS

    def _loop(self) -> None:
        looks = 0
        while True:
            self._someone.wait()
            time.sleep(_LOOK_SECONDS)
            with self._lock:
                watched = list(self._watched)
                if not watched:
                    self._someone.clear()
            looks += 1
            if looks % _WIDER_LOOK_EVERY == 0:
                self._count_kernel_kills()
                for runner in watched:
                    runner.family = family(runner.pid)
            for runner in watched:
                if runner.look(self.limit_bytes) > self.limit_bytes:
                    self._end(runner)

    def _end(self, runner: RunnerMemory) -> None:
        with self._lock:
            if runner not in self._watched:
                # Its job has just ended, and the number of a process that is gone may be another's by now.
                return
            self._watched.discard(runner)
            runner.exceeded = True
            # Still under the lock, which the runner's next job would have to take before it begins. Those that left
            # the runner's process group hold its memory, too.
            for pid in family(runner.pid)[1:]:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            runner.kill()
        log.warning("runner_out_of_memory", pid=runner.pid, used=runner.peak_bytes, limit=self.limit_bytes)

    def _count_kernel_kills(self) -> None:
        counted = kernel_kills()
        if counted > self._kernel_kills:
            self._last_kernel_kill = time.monotonic()
        self._kernel_kills = counted
