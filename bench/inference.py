"""What Turnout's jobs cost against the library by itself, on a real model (MiniLM), in one run and by turns.

a  transformers in one process at its best batch size and number of threads, on input sorted by length = 100 %
b  Turnout: jobs of 256 inputs each, submitted together
c  Turnout: jobs of a single input from 64 clients at once, each waiting for its result

``python -P -m bench.inference [--only a b c] [--inputs 2048] [--pairs 3]``, with PYTHONPATH=. Loading the model and the
first batch do not count. Nothing else should run meanwhile.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from bench.inference_parts.clients import job
from bench.inference_parts.texts import MODELS, texts
from bench.machine import free_ports, machine
from bench.queue_parts.ground import PYTHON, ROOT, SQLITE, Servers, wait_for
from bench.queue_parts.turnout_runs import Turnout

_INPUTS_A_JOB = 256
_CLIENTS = 64
_PATIENCE_SECONDS = 550


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices="abc", default=list("abc"), help="these columns (default all)")
    parser.add_argument("--inputs", type=int, default=2048, help="in each column (default 2048)")
    parser.add_argument("--pairs", type=int, default=3, help="how often each column is measured (default 3)")
    parser.add_argument("--slots", type=int, help="of Turnout's worker (default one for each core)")
    arguments = parser.parse_args()
    rates: dict[str, list[float]] = {column: [] for column in arguments.only}
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="turnout-bench-"))
        servers = stack.enter_context(Servers(Path(directory), [SQLITE]).running())
        turnout = Turnout(servers.ground(SQLITE), free_ports(1)[0])
        turnout.variables["TURNOUT_MODELS"] = str(MODELS)
        client = stack.enter_context(_working(turnout, arguments.slots)) if set(arguments.only) - {"a"} else None
        for _ in range(arguments.pairs):
            for column in arguments.only:
                rate, told = _measure(column, arguments.inputs, turnout, client)
                rates[column].append(rate)
                print(f"  {column}  {rate:8.1f} inputs/s   {told}", flush=True)
    print(f"\n{machine()}\n")
    whole = statistics.median(rates["a"]) if "a" in rates else None
    for column, found in rates.items():
        share = "" if whole is None else f"   {statistics.median(found) / whole:.0%} of a"
        print(f"{column}  median {statistics.median(found):.1f} inputs/s{share}")
    return 0


def _measure(column: str, inputs: int, turnout: Turnout, client: httpx.Client | None) -> tuple[float, str]:
    if column == "a":
        return _raw(inputs)
    if client is None:
        raise ValueError("there is no Turnout")
    return _large_jobs(inputs, turnout, client) if column == "b" else _single_jobs(inputs, turnout)


@contextmanager
def _working(turnout: Turnout, slots: int | None) -> Iterator[httpx.Client]:
    """A Turnout whose runners all have the model loaded."""
    chosen = () if slots is None else ("--slots", str(slots))
    command = (*PYTHON, "workers", "--queue", "cpu", *chosen)
    with turnout.serving() as client, turnout.ground.process("worker", *command, **turnout.variables):
        wait_for(lambda: client.get("/v1/workers").json()["workers"], "the worker")
        count = client.get("/v1/workers").json()["workers"][0]["slots"]

        def loaded_everywhere() -> bool:
            client.post(
                "/v1/jobs/bulk", json={"jobs": [job([text] * 8) for text in texts(8 * count)]}
            ).raise_for_status()
            turnout.wait_until_done()
            time.sleep(2.5)
            return len(client.get("/v1/workers").json()["workers"][0]["models"]) == count

        wait_for(loaded_everywhere, "the model in every runner")
        yield client


def _raw(inputs: int) -> tuple[float, str]:
    command = [*PYTHON, "bench.inference_parts.raw", str(inputs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=_PATIENCE_SECONDS, cwd=ROOT)
    rate, how = json.loads(done.stdout)
    return rate, how


def _large_jobs(inputs: int, turnout: Turnout, client: httpx.Client) -> tuple[float, str]:
    given = texts(inputs)
    jobs = [job(given[start : start + _INPUTS_A_JOB]) for start in range(0, inputs, _INPUTS_A_JOB)]
    submitted = time.time()
    client.post("/v1/jobs/bulk", json={"jobs": jobs}).raise_for_status()
    turnout.wait_until_done()
    rows = turnout.rows("started_at, finished_at", submitted - 1)
    seconds = max(end for _, end in rows) - min(start for start, _ in rows)
    return inputs / seconds, f"{len(jobs)} jobs in {seconds:.1f} s"


def _single_jobs(inputs: int, turnout: Turnout) -> tuple[float, str]:
    command = [*PYTHON, "bench.inference_parts.clients", str(turnout.port), turnout.key, str(_CLIENTS), str(inputs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=_PATIENCE_SECONDS, cwd=ROOT)
    seen = json.loads(done.stdout)
    millis = sorted(seen["millis"])
    p50, p95 = (millis[int(share * len(millis))] for share in (0.5, 0.95))
    return inputs / seen["seconds"], f"p50 {p50:.0f} ms, p95 {p95:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
