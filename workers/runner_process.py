"""A worker's side of one runner process: starting it, speaking with it, ending it."""

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from db.states import Reason
from workers.channel import Channel, ChannelClosed, Message
from workers.memory import in_words
from workers.memory_watch import MemoryWatch, RunnerMemory
from workers.messages import checked

log = structlog.get_logger()

# Everything else stays behind: above all the worker's own secrets.
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class RunnerSetting:
    """What a runner of one slot is started with. ``gpu`` is the one device that it sees, by its id; an empty text hides
    all of them, and None leaves them as they are."""

    name: str
    slot_lock: Path
    log_file: Path
    scratch: Path
    cache: Path
    cores: Sequence[int]
    kinds: Sequence[str]
    runtimes: Mapping[str, Any]
    memory: MemoryWatch
    seats: int
    gpu: str | None
    inference: Mapping[str, Any]


@dataclass(frozen=True)
class Death:
    """How a runner ended: in words, which reason that is for its attempt to be lost, and what was measured."""

    cause: str
    reason: Reason
    metrics: Mapping[str, float]


class RunnerProcess:
    """A started runner. What it says lands in ``inbox``, followed by a ``died`` message at its end."""

    def __init__(
        self,
        setting: RunnerSetting,
        on_ready: Callable[["RunnerProcess"], None],
        on_death: Callable[["RunnerProcess"], None],
    ) -> None:
        """Start the process; the callbacks get this object. The calling thread must live as long as the worker: the
        kernel kills the runner with it."""
        self.inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._on_ready, self._on_death = on_ready, on_death
        ours, theirs = socket.socketpair()
        with theirs, setting.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "workers.runner", str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                env=environment_of(setting),
                cwd=setting.scratch.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._channel = Channel(ours)
        self._doomed = False
        self._killed_by_us = False
        self._watch, self._memory = setting.memory, RunnerMemory(self._process.pid, self.kill)
        self._killed_by_kernel = False
        self._spent = False
        self._running = 0
        self._counting = threading.Lock()
        # What it says that it keeps loaded.
        self.models: Sequence[Mapping[str, Any]] = ()
        listener = threading.Thread(target=self._listen, args=(setting,), name=f"hear-{setting.name}", daemon=True)
        listener.start()
        waiter = threading.Thread(target=self._await_end, args=(listener,), name=f"await-{setting.name}", daemon=True)
        waiter.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        """False from the moment it was killed."""
        return not self._doomed and self._process.poll() is None

    def takes_jobs(self) -> bool:
        """False too if the last job left so much in its memory that the next one would lack it."""
        return not self._spent and self.is_alive()

    def send(self, message: Mapping[str, Any]) -> None:
        """Tell the runner something. One that is gone or does not read is killed; its ``died`` message follows."""
        if message["type"] == "run":
            self._count_begin()
        try:
            self._channel.send(message)
        except ChannelClosed:
            self._doom()
        except ValueError:
            # It is too large, and the runner never hears of it.
            self._count_end()
            raise

    def offer(self, message: Mapping[str, Any]) -> None:
        """Tell the runner something if it can take it right now; never waits."""
        with contextlib.suppress(ChannelClosed):
            self._channel.offer(message)

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._killed_by_us = True
        self._doom()

    def how_it_ended(self) -> str:
        """In words."""
        return self.death().cause

    def death(self) -> Death:
        """For the record of the attempt; waits for the end."""
        code = self._process.wait()
        peak = self._memory.peak_bytes
        metrics = {"peak_memory_bytes": peak} if peak else {}
        if self._memory.exceeded:
            limit = in_words(self._watch.limit_bytes)
            cause = f"The runner used {in_words(peak)} of memory, more than its limit of {limit}."
            return Death(cause, Reason.OUT_OF_MEMORY, metrics)
        if self._killed_by_kernel:
            cause = "The machine ran out of memory, and its kernel killed the runner."
            return Death(cause, Reason.OUT_OF_MEMORY, metrics)
        if code < 0:
            return Death(f"The runner was killed by {signal.Signals(-code).name}.", Reason.WORKER_LOST, metrics)
        return Death(f"The runner ended by itself with exit code {code}.", Reason.WORKER_LOST, metrics)

    def _listen(self, setting: RunnerSetting) -> None:
        greeting = {
            "kinds": list(setting.kinds),
            "runtimes": dict(setting.runtimes),
            "slot_lock": str(setting.slot_lock),
            "scratch": str(setting.scratch),
            "cores": list(setting.cores),
            "memory_bytes": setting.memory.limit_bytes,
            "seats": setting.seats,
            "inference": dict(setting.inference),
        }
        try:
            self._channel.send(greeting)
            while True:
                message = checked(self._channel.receive())
                if message["type"] == "ready":
                    self._on_ready(self)
                    continue
                if message["type"] == "models":
                    self.models = message["models"]
                    continue
                if message["type"] == "finished" and self._count_end():
                    peak = message["metrics"].get("peak_memory_bytes", 0)
                    kept = sum(model["bytes"] for model in self.models)
                    self._spent = self._watch.is_full(self._memory, peak, kept)
                self.inbox.put(message)
        except ChannelClosed:
            # A runner that can't be heard is of no use any more, if it is not just dying.
            self._doom()
        except ValueError as exc:
            log.error("runner_not_understood", slot=setting.name, error=str(exc))
            self.kill()

    def _count_begin(self) -> None:
        with self._counting:
            self._running += 1
            if self._running == 1:
                self._watch.begin(self._memory)

    def _count_end(self) -> bool:
        """Whether the runner has no job any more."""
        with self._counting:
            self._running = max(0, self._running - 1)
            if not self._running:
                self._watch.end(self._memory)
            return not self._running

    def _await_end(self, listener: threading.Thread) -> None:
        """The process is what counts, not its socket: a process that the job started may hold that open."""
        killed = self._process.wait() == -signal.SIGKILL
        self._watch.end(self._memory)
        self._killed_by_kernel = killed and not self._killed_by_us and self._watch.kernel_killed_lately()
        self._signal(signal.SIGKILL)
        self._channel.shut()
        listener.join()
        self._channel.close()
        self.inbox.put({"type": "died"})
        self._on_death(self)

    def _doom(self) -> None:
        self._doomed = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # The whole group: a job may have started processes of its own, which may outlive the runner.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def environment_of(setting: RunnerSetting) -> dict[str, str]:
    """What a runner is told; nothing else of the worker's own environment reaches it."""
    threads = str(max(1, len(setting.cores)))
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    if setting.gpu is not None:
        inherited["CUDA_VISIBLE_DEVICES"] = setting.gpu
    return {
        **inherited,
        "HOME": str(setting.scratch),
        "TMPDIR": str(setting.scratch),
        "MPLCONFIGDIR": str(setting.cache),
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        # Threads that wait for each other must not keep a core busy that somebody else computes on.
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }
