"""What a measurement stands on: a broker and an empty database of its own, processes, and what they cost."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

from tests.servers import PostgresServer, ValkeyServer

ROOT = Path(__file__).resolve().parents[2]
PYTHON = (sys.executable, "-P", "-m")
PATIENCE_SECONDS = 300
SQLITE, POSTGRESQL = "sqlite", "postgresql"
_T = TypeVar("_T")


@dataclass
class Run:
    """One measurement. ``cpu_ms`` is by process and per job; ``millis`` are the latencies of single jobs; ``stages``
    are calls, milliseconds and CPU-milliseconds a job."""

    per_second: float
    cpu_ms: Mapping[str, float] = field(default_factory=dict)
    millis: Mapping[str, list[float]] = field(default_factory=dict)
    stages: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)


class Servers:
    """One broker and, where it is wanted, one PostgreSQL for a whole run."""

    def __init__(self, directory: Path, databases: list[str]) -> None:
        self._directory = directory
        self._broker = ValkeyServer(directory)
        self._postgres = PostgresServer(directory) if POSTGRESQL in databases else None
        self._grounds = 0

    @contextmanager
    def running(self) -> Iterator["Servers"]:
        with ExitStack() as stack:
            stack.callback(self._broker.kill)
            self._broker.start()
            if self._postgres is not None:
                stack.callback(self._postgres.stop)
                self._postgres.start()
            yield self

    def ground(self, database: str) -> "Ground":
        """An empty broker and an empty database in a directory of their own."""
        self._broker.client().flushall()
        self._grounds += 1
        home = self._directory / f"{self._grounds}-{database}"
        home.mkdir()
        servers = {"Valkey": _listening(self._broker.port)}
        if database == SQLITE or self._postgres is None:
            return Ground(home, self._broker, f"sqlite:///{home / 'turnout.db'}", servers)
        servers["PostgreSQL"] = _listening(self._postgres.port)
        return Ground(home, self._broker, self._postgres.make_database(), servers)


class Ground:
    """Where one measurement takes place."""

    def __init__(self, home: Path, broker: ValkeyServer, database_url: str, servers: dict[str, psutil.Process]) -> None:
        self.home = home
        self.broker_url = broker.url
        self.database_url = database_url
        self.processes = dict(servers)

    @contextmanager
    def process(self, name: str, *command: str, **variables: str) -> Iterator[psutil.Process]:
        """A process, while the block runs."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TURNOUT_")}
        environment = {**kept, "PYTHONPATH": str(ROOT), **variables}
        with (self.home / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, cwd=self.home, stdout=log, stderr=log)
            self.processes[name] = psutil.Process(process.pid)
            try:
                yield self.processes[name]
            finally:
                del self.processes[name]
                process.send_signal(signal.SIGCONT)
                process.terminate()
                process.wait(60)

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time so far, by process; a worker's runners apart."""
        spent: dict[str, float] = {}
        for name, process in self.processes.items():
            children = process.children(recursive=True)
            below = sum(map(_own, children))
            if name == "worker":
                spent |= {name: _own(process), "runner": below}
            else:
                times = process.cpu_times()
                spent[name] = _own(process) + below + times.children_user + times.children_system
        return spent

    @contextmanager
    def costing(self, jobs: int) -> Iterator[dict[str, float]]:
        """What the block costs each process, in milliseconds of processor time a job; known at its end."""
        cost: dict[str, float] = {}
        before = self.cpu_seconds()
        yield cost
        after = self.cpu_seconds()
        cost |= {name: 1000 * (seconds - before.get(name, 0)) / jobs for name, seconds in after.items()}


def wait_for(condition: Callable[[], _T], what: str, pause_seconds: float = 0.02) -> _T:
    """The first true value of the condition."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"{what} did not come")
        time.sleep(pause_seconds)
    return value


def _own(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _listening(port: int) -> psutil.Process:
    """The server of that port, which this process started."""
    for child in psutil.Process().children():
        if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in child.net_connections("tcp")):
            return child
    raise LookupError(f"nobody listens on {port}")
