"""A keeper as a process of its own, for tests."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
START_SECONDS = 180.0


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Return as soon as the condition holds; fail the test after the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain until {what}"
        time.sleep(0.05)


def free_port_pair() -> int:
    """A port that is free, and the one after it too."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


class KeeperProcess:
    """Start it, wait until it announces its cluster, and stop it in the end."""

    def __init__(self, home: Path, port: int, memory: str = "1g") -> None:
        self.home = home
        self.port = port
        home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-P", "-m", "workers.h2o_keeper", "--home", str(home), "--port", str(port)]
        self._errors = home / "keeper.err"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen([*command, "--memory", memory], stderr=errors, env=environment())

    @property
    def cluster_file(self) -> Path:
        return self.home / "h2o" / "cluster.json"

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def cluster(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.cluster_file.read_text())
        return found

    def await_cluster(self, after: str = "") -> dict[str, str]:
        """The cluster once there is one, and not the one with the id ``after``, whose file a killed keeper left."""

        def is_up() -> bool:
            assert self.process.poll() is None, self.errors
            try:
                return self.cluster()["cluster_id"] != after
            except FileNotFoundError:
                return False

        wait_until(is_up, "the cluster was announced", START_SECONDS)
        return self.cluster()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)
