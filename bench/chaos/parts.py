"""The processes of a stand: each can be killed, stopped and started again."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
PYTHON = (sys.executable, "-P", "-m")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Part:
    """One process and those below it. Started from the main thread: Linux kills it with the thread that started it."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._command, self._log = command, log
        self.environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self.expected_to_live, self._started_at = False, 0.0

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )
        self.expected_to_live, self._started_at = True, time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self._started_at

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self._started.pid)

    @property
    def pid(self) -> int:
        return self._started.pid

    def died_by_itself(self) -> int | None:
        """Its exit code, if nobody here ended it."""
        return self._started.poll() if self.expected_to_live else None

    def below(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return [child for child in self.process.children(recursive=True) if _runs(child)]
        return []

    def kill(self) -> None:
        """SIGKILL; returns when neither it nor anything below it lives."""
        below = self.below()
        self.expected_to_live = False
        self._started.kill()
        self._started.wait()
        gone_or_not(below, 20)

    def end(self, seconds: float = 60) -> int:
        """SIGTERM, and its exit code."""
        self.expected_to_live = False
        below = self.below()
        self._started.terminate()
        code = self._started.wait(seconds)
        gone_or_not(below, 20)
        return code

    def stop(self) -> None:
        """SIGSTOP to the process itself, not to those below it."""
        self._started.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._started.send_signal(signal.SIGCONT)

    def clear_away(self) -> None:
        """Whatever state it is in, it and everything below it is gone afterwards."""
        if self._process is None:
            return
        self.expected_to_live = False
        below = self.below()
        for process in (self._started, *below):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._started.wait()
        gone_or_not(below, 20)

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process


def gone_or_not(processes: Sequence[psutil.Process], seconds: float) -> Sequence[psutil.Process]:
    """Wait for their end; returns those that are still there."""
    left: Sequence[psutil.Process] = psutil.wait_procs(processes, timeout=seconds)[1]
    return left


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    give_up_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"{what} did not come in {seconds:g} s")
        time.sleep(0.02)


def clean_environment(**own: str) -> dict[str, str]:
    """This process's, without settings of a Turnout that somebody uses here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TURNOUT_", "CHAOS_"))}
    return {**kept, "PYTHONPATH": str(ROOT), **own}


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
