"""Columns d and d256: plain Celery, with a broker and a result backend in Redis and a process for each core.

No HTTP lies before it, which is in its favour.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from celery import Celery

from bench.inference_parts.measured import Measured, Plan
from bench.inference_parts.texts import texts
from bench.queue_parts.ground import Ground

COLUMNS = ("d", "d256")
_APP = "bench.inference_parts.plain_celery:celery"
_CLIENTS = 64
_INPUTS_A_TASK = 256
_PATIENCE_SECONDS = 300


class CelerySide:
    """A worker, and threads that wait for their results."""

    def __init__(self, ground: Ground, plan: Plan) -> None:
        self._ground = ground
        self._plan = plan
        self._app = Celery("bench", broker=ground.broker_url, backend=ground.broker_url)

    def measure(self) -> Iterator[tuple[str, Measured]]:
        with self._working():
            if "d" in self._plan.only:
                yield "d", self._single_tasks()
            if "d256" in self._plan.only:
                yield "d256", self._large_tasks()

    @contextmanager
    def _working(self) -> Iterator[None]:
        cores = len(os.sched_getaffinity(0))
        celery = str(Path(sys.executable).with_name("celery"))
        options = ("--concurrency", str(cores), "--loglevel", "WARNING")
        variables = {"PLAIN_BROKER": self._ground.broker_url, "HF_HUB_OFFLINE": "1"}
        with self._ground.process("celery", celery, "--app", _APP, "worker", *options, **variables):
            # Enough that each process gets some.
            self._from_many_clients(texts(16 * cores, self._plan.words))
            yield

    def _single_tasks(self) -> Measured:
        count = self._plan.singles
        given = texts(count, self._plan.words)
        with self._ground.costing(count) as cost:
            began, cpu = time.perf_counter(), time.process_time()
            millis = self._from_many_clients(given)
            seconds = time.perf_counter() - began
        cost["clients"] = 1000 * (time.process_time() - cpu) / count
        return Measured(count / seconds, millis=millis, cpu_ms=cost)

    def _large_tasks(self) -> Measured:
        count = self._plan.singles
        given = texts(count, self._plan.words)
        parts = [given[start : start + _INPUTS_A_TASK] for start in range(0, count, _INPUTS_A_TASK)]
        with self._ground.costing(count) as cost:
            began = time.perf_counter()
            for result in [self._app.send_task("embed_all", [part]) for part in parts]:
                result.get(timeout=_PATIENCE_SECONDS)
            seconds = time.perf_counter() - began
        return Measured(count / seconds, f"{len(parts)} tasks in {seconds:.1f} s", cpu_ms=cost)

    def _from_many_clients(self, given: Sequence[str]) -> list[float]:
        """Each client waits for its result before it sends the next; how long each took."""

        def one(text: str) -> float:
            began = time.perf_counter()
            self._app.send_task("embed", [text]).get(timeout=_PATIENCE_SECONDS)
            return 1000 * (time.perf_counter() - began)

        with ThreadPoolExecutor(_CLIENTS) as clients:
            return list(clients.map(one, given))
