"""Where a worker's runners are put: their slots, locks and cores."""

import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tasks.queues import Queue
from workers.runner_process import RunnerSetting
from workers.settings import WorkerSettings

_MOST_WORKERS = 1000


def take_place(settings: WorkerSettings, queue: str) -> tuple[str, IO[bytes]]:
    """The first free name for a worker of this queue on this machine, and the lock that keeps it while it is open.

    A worker that was killed leaves its name to its successor, whose runners then wait for the old ones' slot locks.
    """
    settings.lock_root.mkdir(parents=True, exist_ok=True)
    for number in range(_MOST_WORKERS):
        name = f"{queue}-{number}"
        lock = (settings.lock_root / f"worker-{name}.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return name, lock
    raise RuntimeError(f"there are already {_MOST_WORKERS} workers of queue {queue} here")


def default_slots(queue: str) -> int:
    """One for each core of the machine on ``cpu``, else one."""
    return len(_cores()) if queue == Queue.CPU else 1


def runner_settings(
    settings: WorkerSettings, *, worker: str, queue: str, slots: int, kinds: Sequence[str]
) -> Sequence[RunnerSetting]:
    """One for each slot. CPU runners get disjoint cores, since two computing processes on one core slow each other down
    by more than half; the other queues' runners mostly wait for somebody else."""
    for directory in (settings.scratch_root, settings.cache_root, settings.log_root):
        directory.mkdir(parents=True, exist_ok=True)
    runtimes: Mapping[str, Any] = settings.runtime_settings() if queue == Queue.H2O else {}
    return [
        RunnerSetting(
            name=f"{worker}-{slot}",
            slot_lock=settings.lock_root / f"runner-{worker}-{slot}.lock",
            log_file=Path(settings.log_root / f"runner-{worker}-{slot}.log"),
            scratch=settings.scratch_root / f"{worker}-{slot}",
            cache=settings.cache_root,
            cores=_share(slot, slots) if queue == Queue.CPU else (),
            kinds=kinds,
            runtimes=runtimes,
        )
        for slot in range(slots)
    ]


def _cores() -> Sequence[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


def _share(slot: int, slots: int) -> Sequence[int]:
    """This slot's cores; with more slots than cores, they take turns."""
    cores = _cores()
    return cores[slot::slots] or [cores[slot % len(cores)]]
