"""What binds a runner to its slot, its cores and its memory, and how that is counted."""

import contextlib
import fcntl
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

_LOCK_RETRY_SECONDS = 0.05
# Beside what a process uses, this counts what it has only reserved: stacks of threads, pools of allocators.
_RESERVED_FACTOR, _RESERVED_BYTES = 2, 1 << 30
_FIRST_TO_KILL = "1000"


def hold_slot_lock(path: Path) -> IO[bytes]:
    """Take the slot's lock and keep it for this process's life: two runners in one slot would share a device.

    Whoever still holds it belongs to a runner whose worker is dead (the caller's worker owns the slot), be it the
    runner itself or a process that a job started, and is killed.
    """
    file = path.open("ab")  # it stays open until the process ends
    while not _locked(file):
        for process in _holders(path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(_LOCK_RETRY_SECONDS)
    return file


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holders(path: Path) -> Iterator[int]:
    """The other processes of this user that have the file open (``proc(5)``)."""
    for entry in Path("/proc").glob("[0-9]*"):
        process = int(entry.name)
        # Processes come and go meanwhile, and other users' can't be looked into.
        with contextlib.suppress(OSError):
            if process != os.getpid() and any(link.readlink() == path for link in (entry / "fd").iterdir()):
                yield process


def make_scratch_empty(scratch: Path) -> None:
    """Remove what earlier runners of the slot left, among it the copies of models of attempts that were killed."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, exist_ok=True)


def pin_to_cores(cores: Sequence[int]) -> None:
    """Run on these processors only; an empty list leaves all of them."""
    if cores and sys.platform == "linux":
        os.sched_setaffinity(0, cores)


def limit_memory(limit_bytes: int) -> None:
    """Let nothing but this process and its children suffer from how much memory they take.

    Their worker kills them beyond the limit, a moment after they went there. Until then, an allocation far beyond fails
    (``MemoryError`` in Python), and a kernel that runs out of memory kills here first (``proc(5)``: oom_score_adj).
    """
    if sys.platform == "linux":
        far_beyond = _RESERVED_FACTOR * limit_bytes + _RESERVED_BYTES
        _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if hard == resource.RLIM_INFINITY or far_beyond < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (far_beyond, hard))
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_KILL)


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
