"""Where a worker's runners are put: their slots, locks and cores."""

import fcntl
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import structlog

from tasks.queues import Queue
from workers.devices import Gpu, gpu_named, gpus
from workers.memory import container_bytes, machine_bytes
from workers.memory_watch import MemoryWatch
from workers.runner_process import RunnerSetting
from workers.settings import WorkerSettings

log = structlog.get_logger()

_MOST_WORKERS = 1000
# Of the memory: for the queues whose runners compute, and for those whose runners mostly wait for somebody else.
_COMPUTING, _WAITING = 3 / 4, 1 / 4
_LEAST_DEFAULT_MEMORY = 1 << 30
# Of a device's memory; the rest is for what is computed.
_OF_MODELS = 1 / 2


@dataclass(frozen=True)
class Place:
    """A worker's name on this machine, and the lock that keeps it while it is open. The lock's file names who holds it.

    A worker that was killed leaves its name to its successor, whose runners then wait for the old ones' slot locks.
    """

    name: str
    lock: IO[bytes]
    predecessor: str | None
    """The id of the last worker of that name. It has ended, or the lock would not be free."""

    def enter(self, worker_id: str) -> None:
        """Say who holds the place, before the worker claims anything. On a full disk nobody does; then a successor
        leaves the jobs to their leases."""
        try:
            self.lock.truncate(0)
            self.lock.write(worker_id.encode())
            self.lock.flush()
        except OSError as exc:
            log.warning("place_not_entered", place=self.name, why=exc.strerror)


def take_place(settings: WorkerSettings, queue: str) -> Place:
    """The first that is free for a worker of this queue on this machine."""
    settings.lock_root.mkdir(parents=True, exist_ok=True)
    for number in range(_MOST_WORKERS):
        name = f"{queue}-{number}"
        lock = (settings.lock_root / f"worker-{name}.lock").open("a+b")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        lock.seek(0)
        return Place(name, lock, lock.read().decode(errors="replace") or None)
    raise RuntimeError(f"there are already {_MOST_WORKERS} workers of queue {queue} here")


def default_slots(queue: str) -> int:
    """One for each core of the machine on ``cpu``, else one."""
    return len(_cores()) if queue == Queue.CPU else 1


def find_gpu(queue: str, device: str | None) -> Gpu | None:
    """The GPU that a worker's runners compute on: the one that is asked for, else the first on the ``gpu`` queue. None:
    they compute on the processor. Raises ``NoSuchDevice``."""
    if device is None and queue != Queue.GPU:
        return None
    present = gpus()
    if device is not None:
        return gpu_named(device, present)
    if not present:
        log.warning("no_gpu_found", queue=queue)
        return None
    return present[0]


def runner_settings(
    settings: WorkerSettings, *, worker: str, queue: str, slots: int, kinds: Sequence[str], gpu: Gpu | None = None
) -> Sequence[RunnerSetting]:
    """One for each slot. CPU runners get disjoint cores, since two computing processes on one core slow each other down
    by more than half; the other queues' runners mostly wait for somebody else, or for the one GPU that they see."""
    for directory in (settings.scratch_root, settings.cache_root, settings.log_root):
        directory.mkdir(parents=True, exist_ok=True)
    watch = MemoryWatch(settings.runner_memory or default_memory(queue, slots))
    runtimes: Mapping[str, Any] = settings.runtime_settings() if queue == Queue.H2O else {}
    return [
        RunnerSetting(
            name=f"{worker}-{slot}",
            slot_lock=settings.lock_root / f"runner-{worker}-{slot}.lock",
            log_file=Path(settings.log_root / f"runner-{worker}-{slot}.log"),
            scratch=settings.scratch_root / f"{worker}-{slot}",
            cache=settings.cache_root,
            cores=cores,
            kinds=kinds,
            runtimes=runtimes,
            memory=watch,
            seats=settings.seats,
            gpu=_visible(queue, gpu),
            inference=inference_settings(settings, watch.limit_bytes, len(cores), gpu),
        )
        for slot, cores in enumerate(_share(slot, slots) if queue == Queue.CPU else () for slot in range(slots))
    ]


def inference_settings(
    settings: WorkerSettings, memory_bytes: int, cores: int, gpu: Gpu | None = None
) -> Mapping[str, Any]:
    """What a runner's workbench is made with."""
    there_is = gpu.memory_bytes if gpu is not None and gpu.memory_bytes else memory_bytes
    return {
        "device": "cpu" if gpu is None else "cuda",
        "threads": max(1, cores),
        **source_settings(settings),
        "model_bytes": settings.model_memory or int(_OF_MODELS * there_is),
        "idle_seconds": settings.model_idle.total_seconds(),
        "batch_wait_seconds": settings.batch_wait.total_seconds(),
    }


def source_settings(settings: WorkerSettings) -> Mapping[str, Any]:
    """Where a runner may take models from."""
    return {
        "models": None if settings.models is None else str(settings.models.resolve()),
        "models_allow": None if settings.models_allow is None else list(settings.models_allow),
        "models_trusted": list(settings.models_trusted),
        "models_disk": int(settings.models_disk),
        "model_cache": str(settings.cache_root / "models"),
        "offline": settings.offline,
        "hub_endpoint": settings.hub_endpoint,
        "hub_token": settings.hub_token.get_secret_value() or None,
    }


def default_memory(queue: str, slots: int) -> int:
    """What one runner may use: its share of the memory that this machine or container has.

    A machine is shared with other workers and servers; a container is taken to be the worker's alone.
    """
    container = container_bytes()
    part = _COMPUTING if queue in (Queue.CPU, Queue.GPU) or container is not None else _WAITING
    there_is = container or machine_bytes()
    return max(int(part * there_is / slots), min(_LEAST_DEFAULT_MEMORY, int(_COMPUTING * there_is)))


def _visible(queue: str, gpu: Gpu | None) -> str | None:
    """A CPU runner that touched a GPU would take memory from the runner whose device it is."""
    if gpu is not None:
        return gpu.uuid
    return "" if queue == Queue.CPU else None


def _cores() -> Sequence[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


def _share(slot: int, slots: int) -> Sequence[int]:
    """This slot's cores; with more slots than cores, they take turns."""
    cores = _cores()
    return cores[slot::slots] or [cores[slot % len(cores)]]
