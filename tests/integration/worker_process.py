"""Worker processes of tests."""

import contextlib
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

    def start(self, slots: int = 1, **settings: str) -> psutil.Process:
        """``settings`` are ``TURNOUT_`` variables, in small letters and without that."""
        command = [sys.executable, "-P", "-m", "workers", "--queue", "cpu", "--slots", str(slots)]
        environment = self._environment | {f"TURNOUT_{name.upper()}": value for name, value in settings.items()}
        process = subprocess.Popen(command, env=environment, stdout=self._log, stderr=self._log)
        self._started.append(process)
        return psutil.Process(process.pid)

    def wait_for_exit(self, worker: psutil.Process) -> int:
        (process,) = [process for process in self._started if process.pid == worker.pid]
        return process.wait(30)

    def end(self) -> None:
        """Kill the workers and wait for their runners; then kill what jobs detached: it holds a slot's lock."""
        runners = [runner for process in self._started if process.poll() is None for runner in _below(process.pid)]
        for process in self._started:
            process.kill()
            process.wait()
        psutil.wait_procs(runners, timeout=10)
        for process_left in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if any(Path(file.path).parent == self.home / "run" for file in process_left.open_files()):
                    process_left.kill()
        self._log.close()


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []


def runners_of(worker: psutil.Process) -> list[psutil.Process]:
    return [child for child in worker.children() if "workers.runner" in child.cmdline()]
