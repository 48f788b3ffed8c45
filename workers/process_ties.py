"""What binds a runner to its slot and its cores, and how its memory is counted."""

import fcntl
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO


def hold_slot_lock(path: str) -> IO[bytes]:
    """Take the slot's lock and keep it for this process's life, waiting until the slot's last runner is really dead:
    two of them would share a device."""
    file = Path(path).open("ab")  # noqa: SIM115 - it stays open until the process ends
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def pin_to_cores(cores: Sequence[int]) -> None:
    """Run on these processors only; an empty list leaves all of them."""
    if cores and sys.platform == "linux":
        os.sched_setaffinity(0, cores)


def reset_peak_memory() -> None:
    """Start the kernel's count of this process's peak memory anew (``proc(5)``: clear_refs)."""
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes() -> int:
    """The largest resident set since the last reset; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
