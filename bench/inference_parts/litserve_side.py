"""Column e: LitServe with its own batching, in the best of several settings."""

import importlib.util
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import httpx
import psutil

from bench.inference_parts.clients import Requests, from_many_clients
from bench.inference_parts.measured import Measured, Plan
from bench.inference_parts.texts import texts
from bench.machine import free_ports
from bench.queue_parts.ground import PYTHON, Ground, wait_for

COLUMNS = ("e",)
_CLIENTS = 64
_TRIED_ON = 256
_ENDING_SECONDS = 2


@dataclass(frozen=True)
class Setting:
    """LitServe's, and how many threads each of its workers computes with."""

    batch: int
    wait_seconds: float
    workers: int
    threads: int

    def __str__(self) -> str:
        return f"batches of {self.batch}, wait {1000 * self.wait_seconds:g} ms, {self.workers} worker(s)"


def missing() -> str | None:
    """What to do if it isn't there."""
    if importlib.util.find_spec("litserve") is not None:
        return None
    return "Column e needs LitServe: run `make .venv/.bench`, or name the other columns with --only."


def settings() -> list[Setting]:
    """A worker for each core as its documentation advises, or one with all cores."""
    cores = len(os.sched_getaffinity(0))
    return [
        Setting(16, 0.01, cores, 1),
        Setting(32, 0.01, cores, 1),
        Setting(32, 0.05, cores, 1),
        Setting(64, 0.01, 1, cores),
    ]


class LitServeSide:
    """Its servers, one after the other."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._best: Setting | None = None

    def measure(self, ground: Ground) -> Iterator[tuple[str, Measured]]:
        """The best setting is looked for once."""
        if "e" not in self._plan.only:
            return
        if self._best is None:
            tried = {setting: self._rate(ground, setting, _TRIED_ON).per_second for setting in settings()}
            self._best = max(tried, key=lambda setting: tried[setting])
        yield "e", self._rate(ground, self._best, self._plan.singles)

    def _rate(self, ground: Ground, setting: Setting, count: int) -> Measured:
        with self._serving(ground, setting) as port:
            from_many_clients(self._requests(port, _CLIENTS * 2), _CLIENTS)
            with ground.costing(count) as cost:
                answered = from_many_clients(self._requests(port, count), _CLIENTS)
            cost["clients"] = 1000 * answered.cpu_seconds / count
        return Measured(count / answered.seconds, str(setting), answered.millis, cost)

    def _requests(self, port: int, count: int) -> Requests:
        bodies = [json.dumps({"text": text}) for text in texts(count, self._plan.words)]
        return Requests(port, "/predict", {}, bodies, '"vector"')

    @contextmanager
    def _serving(self, ground: Ground, setting: Setting) -> Iterator[int]:
        (port,) = free_ports(1)
        arguments = (port, setting.batch, setting.wait_seconds, setting.workers, setting.threads)
        command = (*PYTHON, "bench.inference_parts.litserve_app", *map(str, arguments))
        with ground.process("litserve", *command, HF_HUB_OFFLINE="1") as server:
            wait_for(lambda: _is_healthy(port), "LitServe", 0.2)
            below = server.children(recursive=True)
            try:
                yield port
            finally:
                _end([server, *below])


def _end(processes: Sequence[psutil.Process]) -> None:
    """All of them: the server alone would leave its workers behind."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _gone, left = psutil.wait_procs(processes, _ENDING_SECONDS)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _is_healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False
