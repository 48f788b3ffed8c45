"""Worker processes of tests."""

import os
import subprocess
import sys
from pathlib import Path

import psutil


class Workers:
    """Starts workers, and ends what a test left."""

    def __init__(self, home: Path, broker_url: str, database_url: str) -> None:
        self.home = home
        self._environment = {
            **os.environ,
            "TURNOUT_HOME": str(home),
            "TURNOUT_BROKER_URL": broker_url,
            "TURNOUT_DATABASE_URL": database_url,
            "TURNOUT_KINDS": "tests.integration.kinds",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        self._log = (home / "workers.log").open("ab")
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, slots: int = 1) -> psutil.Process:
        command = [sys.executable, "-P", "-m", "workers", "--queue", "cpu", "--slots", str(slots)]
        process = subprocess.Popen(command, env=self._environment, stdout=self._log, stderr=self._log)
        self._started.append(process)
        return psutil.Process(process.pid)

    def wait_for_exit(self, worker: psutil.Process) -> int:
        (process,) = [process for process in self._started if process.pid == worker.pid]
        return process.wait(30)

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()
        self._log.close()


def runners_of(worker: psutil.Process) -> list[psutil.Process]:
    return [child for child in worker.children() if "workers.runner" in child.cmdline()]
