"""Columns b, c and g, the latency at half load, and what the second use of a model loads: all of one Turnout."""

import io
import json
import os
import shutil
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from sqlalchemy import text

from bench.inference_parts.clients import Requests, at_random_moments, from_many_clients
from bench.inference_parts.measured import Measured, Plan
from bench.inference_parts.onnx_model import tensors, write_model
from bench.inference_parts.raw_side import own_millis
from bench.inference_parts.texts import MODEL, alike, texts
from bench.machine import free_ports
from bench.queue_parts.ground import PYTHON, Ground, wait_for
from bench.queue_parts.turnout_runs import Turnout

COLUMNS = ("b", "c", "g", "latency", "loads")
INPUTS_A_JOB = 256
CLIENTS = 64
_HALF_LOAD_SECONDS = 15
_ENCODER, _ONNX = "encoder", "encoder-onnx"
# How often a worker says what its runners hold.
_SIGN_OF_LIFE_SECONDS = 2.5


def place_models(models: Path) -> None:
    """The directory that Turnout takes its models from."""
    shutil.copytree(MODEL, models / _ENCODER)
    write_model(onnx_path(models))


def onnx_path(models: Path) -> Path:
    return models / _ONNX / "model.onnx"


class TurnoutSide:
    """A Turnout with a worker of this machine's processors."""

    def __init__(self, ground: Ground, models: Path, plan: Plan) -> None:
        self._turnout = Turnout(ground, free_ports(1)[0])
        self._turnout.variables["TURNOUT_MODELS"] = str(models)
        self._plan = plan

    def measure(self) -> Iterator[tuple[str, Measured]]:
        """What is wanted of it, each with the name of its column."""
        only = self._plan.only
        with self._working() as client:
            loads = self._first_and_second_use(client)
            runners = self._warm_up(client)
            if "b" in only:
                yield "b", self._large_jobs(client)
            singles = self._single_jobs() if only & {"c", "latency"} else None
            if singles is not None and "c" in only:
                yield "c", singles
            if "g" in only:
                yield "g", self._onnx_jobs(client)
            if singles is not None and "latency" in only:
                yield "latency", self._at_half_load(singles.per_second, runners)
            if "loads" in only:
                yield "loads", self._all_loads(loads, runners)

    @contextmanager
    def _working(self) -> Iterator[httpx.Client]:
        slots = () if self._plan.slots is None else ("--slots", str(self._plan.slots))
        command = (*PYTHON, "workers", "--queue", "cpu", *slots)
        turnout = self._turnout
        with turnout.serving() as client, turnout.ground.process("worker", *command, **turnout.variables):
            wait_for(lambda: client.get("/v1/workers").json()["workers"], "the worker")
            yield client

    def _first_and_second_use(self, client: httpx.Client) -> Sequence[Mapping[str, float]]:
        for one in texts(2, self._plan.words):
            client.post("/v1/jobs", json=_embedding([one])).raise_for_status()
            self._turnout.wait_until_done()
        return self._metrics("embed_text")

    def _warm_up(self, client: httpx.Client) -> int:
        """Until each runner has its models and what it computes with; how many runners there are."""
        (worker,) = client.get("/v1/workers").json()["workers"]
        runners = int(worker["slots"])
        jobs = [_embedding([one] * 8) for one in texts(8 * runners, self._plan.words)]
        models = 1
        if "g" in self._plan.only:
            jobs += self._onnx_specs(client, 2 * runners * INPUTS_A_JOB)
            models = 2

        def loaded_everywhere() -> bool:
            self._bulk(client, jobs)
            self._turnout.wait_until_done()
            time.sleep(_SIGN_OF_LIFE_SECONDS)
            return len(client.get("/v1/workers").json()["workers"][0]["models"]) == models * runners

        wait_for(loaded_everywhere, "the models in every runner")
        return runners

    def _large_jobs(self, client: httpx.Client) -> Measured:
        given = texts(self._plan.inputs, self._plan.words)
        starts = range(0, len(given), INPUTS_A_JOB)
        return self._submitted(client, [_embedding(given[start : start + INPUTS_A_JOB]) for start in starts])

    def _onnx_jobs(self, client: httpx.Client) -> Measured:
        return self._submitted(client, self._onnx_specs(client, self._plan.inputs))

    def _onnx_specs(self, client: httpx.Client, count: int) -> list[dict[str, object]]:
        """Jobs whose tensors are uploaded as NPY files."""
        given = tensors(count, self._plan.words)
        jobs: list[dict[str, object]] = []
        for start in range(0, count, INPUTS_A_JOB):
            part = {name: array[start : start + INPUTS_A_JOB] for name, array in given.items()}
            files = {name: {"file": _uploaded(client, f"{name}.npy", array)} for name, array in part.items()}
            spec = {"kind": "predict_onnx", "model": _ONNX, "inputs": files}
            jobs.append({"kind": "predict_onnx", "spec": spec})
        return jobs

    def _submitted(self, client: httpx.Client, jobs: Sequence[dict[str, object]]) -> Measured:
        """Jobs that are submitted together, from the first one's start to the last one's end."""
        inputs = self._plan.inputs
        submitted = time.time()
        with self._turnout.ground.costing(inputs) as cost:
            self._bulk(client, jobs)
            self._turnout.wait_until_done()
        rows = self._turnout.rows("started_at, finished_at", submitted - 0.01)
        if len(rows) != len(jobs):
            raise RuntimeError(f"{len(rows)} jobs instead of {len(jobs)}")
        seconds = max(end for _, end in rows) - min(start for start, _ in rows)
        return Measured(inputs / seconds, f"{len(jobs)} jobs in {seconds:.1f} s", cpu_ms=cost)

    def _single_jobs(self) -> Measured:
        requests = self._waiting_requests(texts(self._plan.singles, self._plan.words))
        with self._turnout.ground.costing(self._plan.singles) as cost:
            answered = from_many_clients(requests, CLIENTS)
        cost["clients"] = 1000 * answered.cpu_seconds / self._plan.singles
        return Measured(self._plan.singles / answered.seconds, millis=answered.millis, cpu_ms=cost)

    def _at_half_load(self, most_per_second: float, runners: int) -> Measured:
        """Half of what Turnout or the model by itself does in a second, whichever is less: what Turnout does with many
        clients rests upon batches, of which there are hardly any at half load."""
        threads = max(1, len(os.sched_getaffinity(0)) // runners)
        own = own_millis(threads, self._plan.words)
        per_second = min(most_per_second, 1000 / own) / 2
        count = int(_HALF_LOAD_SECONDS * per_second)
        with self._turnout.ground.costing(count) as cost:
            answered = at_random_moments(self._waiting_requests(alike(count, self._plan.words)), per_second)
        cost["clients"] = 1000 * answered.cpu_seconds / count
        jobs = self._metrics("embed_text")[-count:]
        queued, ran = (1000 * statistics.median(job[f"{part}_seconds"] for job in jobs) for part in ("queue", "run"))
        how = f"of that {queued:.0f} ms queued and {ran:.0f} ms run; the model alone {own:.1f} ms, threads: {threads}"
        return Measured(per_second, how, answered.millis, cost, {"own_ms": own})

    def _all_loads(self, first_two: Sequence[Mapping[str, float]], runners: int) -> Measured:
        first, second = first_two
        everything = self._metrics("embed_text")
        figures = {
            "first_load_seconds": first["load_seconds"],
            "second_load_seconds": second["load_seconds"],
            "second_loads": second["model_loads"],
            "second_hits": second["model_hits"],
            "jobs": len(everything),
            "loads": sum(job["model_loads"] for job in everything),
            "runners": runners,
        }
        how = (
            f"load_seconds {first['load_seconds']:g}, then {second['load_seconds']:g}; "
            f"in all {figures['loads']:g} loads by {runners} runners in {len(everything)} jobs"
        )
        return Measured(0, how, figures=figures)

    def _metrics(self, kind: str) -> list[dict[str, float]]:
        """Of all jobs of that kind, the first one first."""
        query = text("SELECT metrics FROM jobs WHERE kind = :kind ORDER BY created_at")
        with self._turnout.engine.connect() as connection:
            return [json.loads(metrics) for (metrics,) in connection.execute(query, {"kind": kind})]

    def _waiting_requests(self, given: Sequence[str]) -> Requests:
        headers = {"Authorization": f"Bearer {self._turnout.key}", "Prefer": "wait=60"}
        bodies = [json.dumps(_embedding([one])) for one in given]
        return Requests(self._turnout.port, "/v1/jobs", headers, bodies, '"state":"succeeded"')

    @staticmethod
    def _bulk(client: httpx.Client, jobs: Sequence[dict[str, object]]) -> None:
        client.post("/v1/jobs/bulk", json={"jobs": list(jobs)}).raise_for_status()


def _embedding(inputs: Sequence[str]) -> dict[str, object]:
    return {"kind": "embed_text", "spec": {"kind": "embed_text", "model": _ENCODER, "texts": list(inputs)}}


def _uploaded(client: httpx.Client, name: str, array: "np.ndarray[Any, Any]") -> str:
    content = io.BytesIO()
    np.save(content, array)
    answer = client.post("/v1/files", files={"file": (name, content.getvalue())}).raise_for_status()
    return str(answer.json()["id"])
