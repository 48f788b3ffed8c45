"""What further workers bring: each has one device, simulated, that takes a fixed time for a batch of up to eight jobs.

All else is real: API, Redis, SQL, workers, their runners, claims and batches across jobs of a single input.

``python -P -m bench.scaling [--workers 1 2 4 8] [--database sqlite] [--batch-seconds 0.4] [--seconds 20]``, with
PYTHONPATH=. The rate is counted while jobs wait, so neither the start nor the emptying of the devices counts. Every
measurement begins with an empty database and new processes. Nothing else should run meanwhile.
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx

from bench.kinds.use_device import BATCH
from bench.machine import free_ports, machine
from bench.queue_parts.ground import POSTGRESQL, PYTHON, SQLITE, Servers, wait_for
from bench.queue_parts.turnout_runs import BULK, Turnout

# Of what as many workers as there are would do if each did what one does: 7.5 of 8.
_WANTED_SHARE = 7.5 / 8
# Until every worker has begun and every device has its first batches behind it.
_SETTLING_SECONDS = 3.0
# What a runner has at once, so that this much is computed after the last job was claimed.
_SEATS = 64


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2, 4, 8], help="how many (default 1 2 4 8)")
    parser.add_argument("--database", choices=[SQLITE, POSTGRESQL], default=POSTGRESQL, help="(default postgresql)")
    parser.add_argument("--batch-seconds", type=float, default=0.4, help="of a device, for a batch (default 0.4)")
    parser.add_argument("--seconds", type=float, default=20, help="for how long jobs wait (default 20)")
    arguments = parser.parse_args()
    of_one_device = BATCH / arguments.batch_seconds
    rates: dict[int, float] = {}
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="turnout-bench-"))
        servers = stack.enter_context(Servers(Path(directory), [arguments.database]).running())
        for count in sorted({1, *arguments.workers}):
            turnout = Turnout(servers.ground(arguments.database), free_ports(1)[0])
            jobs = math.ceil(count * (of_one_device * (_SETTLING_SECONDS + arguments.seconds) + _SEATS))
            rates[count] = _rate(turnout, count, jobs, arguments.batch_seconds)
            print(f"  {count} workers {rates[count]:7.1f} jobs/s of {count * of_one_device:.1f}", flush=True)
    print(f"\n{machine()}, {arguments.database}, {arguments.batch_seconds} s for a batch of {BATCH}\n")
    for count, rate in rates.items():
        print(
            f"{count} workers {rate / rates[1]:5.2f} times one's  {rate / (count * of_one_device):4.0%} of the devices"
        )
    most = max(rates)
    return 0 if rates[most] / rates[1] >= _WANTED_SHARE * most else 1


def _rate(turnout: Turnout, workers: int, jobs: int, batch_seconds: float) -> float:
    with ExitStack() as stack:
        client = stack.enter_context(turnout.serving())
        command = (*PYTHON, "workers", "--queue", "cpu", "--slots", "1")
        for number in range(workers):
            stack.enter_context(turnout.ground.process(f"worker-{number}", *command, **turnout.variables))
        wait_for(lambda: len(client.get("/v1/workers").json()["workers"]) == workers, "the workers")
        _submit(client, workers * _SEATS, 0.01)
        turnout.wait_until_done()
        submitted = time.time()
        _submit(client, jobs, batch_seconds)
        turnout.wait_until_done()
        rows = turnout.rows("started_at, finished_at", submitted - 0.01)
    if len(rows) != jobs:
        raise RuntimeError(f"{len(rows)} jobs instead of {jobs}")
    return steady_rate([(start, end) for start, end in rows])


def steady_rate(jobs: Sequence[tuple[float, float]], settling_seconds: float = _SETTLING_SECONDS) -> float:
    """Jobs that ended in a second while others waited, from their starts and ends. Raises ``ValueError`` if none waited
    for long enough."""
    begin = min(start for start, _end in jobs) + settling_seconds
    end = max(start for start, _end in jobs)
    if end <= begin:
        raise ValueError(f"jobs waited for no longer than {settling_seconds} s: submit more")
    return sum(begin < ended <= end for _start, ended in jobs) / (end - begin)


def _submit(client: httpx.Client, jobs: int, batch_seconds: float) -> None:
    job = {"kind": "use_device", "spec": {"kind": "use_device", "values": [1], "batch_seconds": batch_seconds}}
    for start in range(0, jobs, BULK):
        client.post("/v1/jobs/bulk", json={"jobs": [job] * min(BULK, jobs - start)}).raise_for_status()


if __name__ == "__main__":
    sys.exit(main())
