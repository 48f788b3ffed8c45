"""How much memory there is, how much a runner uses, and whether the kernel has killed for want of it.

All from the files of ``proc(5)`` and ``cgroups(7)``. What a system does not tell counts as nothing.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")
# Neither program text nor mapped files: those the kernel drops by itself when memory is short.
_OWN = (b"RssAnon:", b"RssShmem:", b"VmSwap:")
# Of both versions of control groups: the limit, what is used, and how much of that is files.
_ACCOUNTS = (
    ("memory.max", "memory.current", b"file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", b"total_cache"),
)
_OWN_SHARES = (b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")


def machine_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def container_bytes(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int | None:
    """What this process's control groups allow it and its children together; None where they set no limit."""
    limits = []
    for directory in _own_groups(proc, cgroups):
        for name in ("memory.max", "memory.limit_in_bytes"):
            # One says "max", the other an enormous number.
            with contextlib.suppress(OSError, ValueError):
                limits.append(int((directory / name).read_text()))
    smallest = min(limits, default=machine_bytes())
    return smallest if smallest < machine_bytes() else None


def available_bytes(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int | None:
    """What this machine, or our control groups if they leave less, can still give; None where the system doesn't tell.
    What only caches files counts as free."""
    free = [_field(proc / "meminfo", b"MemAvailable:") << 10]
    for directory in _own_groups(proc, cgroups):
        for limit, used, cached in _ACCOUNTS:
            with contextlib.suppress(OSError, ValueError):
                left = int((directory / limit).read_text()) - int((directory / used).read_text())
                free.append(left + _field(directory / "memory.stat", cached))
    return max(0, min(free)) if free[0] else None


def kernel_kills(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int:
    """How many processes the kernel has killed for want of memory, on this machine and in our control groups. Only that
    it rises means something."""
    counted = 0
    for directory in _own_groups(proc, cgroups):
        counted += _field(directory / "memory.events", b"oom_kill") + _field(
            directory / "memory.oom_control", b"oom_kill"
        )
    return counted + _field(proc / "vmstat", b"oom_kill")


def used_bytes(pid: int) -> int:
    """What the process holds of memory and swap space that only its end frees."""
    return sum(_fields(_PROC / str(pid) / "status", _OWN))


def shared_out_bytes(pids: Sequence[int]) -> int:
    """The same for all of these together, what they share counted once. This goes through their page tables, which
    takes some ten milliseconds for each gigabyte."""
    return sum(sum(_fields(_PROC / str(pid) / "smaps_rollup", _OWN_SHARES)) for pid in pids)


def family(pid: int) -> list[int]:
    """The process and all that it started, directly or not."""
    found = [pid]
    for parent in found:
        # They come and go meanwhile.
        with contextlib.suppress(OSError):
            for thread in (_PROC / str(parent) / "task").iterdir():
                found.extend(map(int, (thread / "children").read_bytes().split()))
    return found


def in_words(count: float) -> str:
    """So many bytes, as people say it."""
    for unit, length in (("GB", 1e9), ("MB", 1e6)):
        if count >= length:
            return f"{count / length:.3g} {unit}"
    return f"{count:.0f} bytes"


def _own_groups(proc: Path, cgroups: Path) -> Iterator[Path]:
    """The directories of this process's memory groups and of all above them, for both versions of control groups.

    In a container the path may be the host's and mean nothing inside; its own group is then the mount's root.
    """
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _number, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = cgroups / controllers
        here = top / path.lstrip("/")
        yield from [place for place in (here, *here.parents) if place.is_relative_to(top) and place.is_dir()]


def _fields(file: Path, names: Sequence[bytes]) -> list[int]:
    """The values of the lines that begin so, which are in KiB."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return []
    return [int(line.split()[1]) << 10 for line in lines if line.startswith(tuple(names))]


def _field(file: Path, name: bytes) -> int:
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [name]), 0)
