"""A keeper as a process of its own, for tests."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

REPOSITORY = Path(__file__).parents[3]
START_SECONDS = 180.0
# A cluster that is short-lived compiles no more than it must.
QUICK = "--jvm-options=-XX:TieredStopAtLevel=1"


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Return as soon as the condition holds; fail the test after the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain until {what}"
        time.sleep(0.05)


def free_port_pair() -> int:
    """A port that is free, and the one after it too."""
    return free_ports(2)


def free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    while True:
        with ExitStack() as probes:
            first: int = probes.enter_context(_bound(0)).getsockname()[1]
            try:
                for port in range(first + 1, first + count):
                    probes.enter_context(_bound(port))
            except (OSError, OverflowError):
                continue
            return first


def _bound(port: int) -> socket.socket:
    probe = socket.socket()
    try:
        probe.bind(("127.0.0.1", port))
    except BaseException:
        probe.close()
        raise
    return probe


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    """The addresses and ports on which a process takes connections."""
    return {
        (found.laddr.ip.removeprefix("::ffff:"), found.laddr.port)
        for found in process.net_connections()
        if found.status == psutil.CONN_LISTEN
    }


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


class KeeperProcess:
    """Start it, wait until it announces its cluster, and stop it in the end."""

    def __init__(self, home: Path, port: int, memory: str = "1g", *further: str) -> None:
        self.home = home
        self.port = port
        home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-P", "-m", "workers.h2o_keeper", "--home", str(home), "--port", str(port)]
        self._errors = home / "keeper.err"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen([*command, "--memory", memory, *further], stderr=errors, env=environment())

    @property
    def cluster_file(self) -> Path:
        return self.home / "h2o" / "cluster.json"

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def cluster(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.cluster_file.read_text())
        return found

    def pids(self) -> list[int]:
        """The processes of its cluster's nodes."""
        found: list[int] = self.cluster()["pids"]
        return found

    def await_cluster(self, after: str = "") -> dict[str, Any]:
        """The cluster once there is one, and not the one with the id ``after``, whose file a killed keeper left."""

        def is_up() -> bool:
            assert self.process.poll() is None, self.errors
            try:
                return bool(self.cluster()["cluster_id"] != after)
            except FileNotFoundError:
                return False

        wait_until(is_up, "the cluster was announced", START_SECONDS)
        return self.cluster()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)
