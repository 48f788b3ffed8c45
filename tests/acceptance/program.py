"""The real program as a person starts it: ``turnout up``, in a home and on ports of the test's own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

from tests.processes import lives
from tests.servers import free_port
from tests.waiting import until
from turnout import Client

TURNOUT = Path(sys.executable).with_name("turnout")


class Program:
    """One ``turnout up`` and the processes it starts."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.home = directory / "home"
        self.api_port = free_port()
        self.flower_port = free_port()
        ports = {
            "TURNOUT_API_PORT": self.api_port,
            "TURNOUT_REDIS_PORT": free_port(),
            "TURNOUT_H2O_PORT": free_port_pair(),
            "TURNOUT_FLOWER_PORT": self.flower_port,
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TURNOUT_")}
        self.environment = {
            **kept,
            **{name: str(port) for name, port in ports.items()},
            "TURNOUT_HOME": str(self.home),
            "HOME": str(directory / "user"),
            "XDG_CONFIG_HOME": str(directory / "user"),
            **settings,
        }
        self._output = (directory / "up.log").open("ab")
        self._log = directory / "up.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def process(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    @property
    def output(self) -> str:
        return self._log.read_text()

    def start(self) -> Client:
        self.launch(TURNOUT, "up")
        return self.started()

    def started(self) -> Client:
        """Wait until the program that was launched is up."""
        until(self._is_up, 90, what=f"`turnout up`\n{self.output}")
        return Client(self.url, (self.home / "api-key").read_text().strip())

    def launch(self, *command: str | Path, directory: Path | None = None) -> None:
        """Start a command with this program's home and ports, and wait for nothing."""
        self._process = subprocess.Popen(
            command,
            cwd=directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
        )

    def wait_for_line(self, text: str) -> None:
        def is_there() -> bool:
            assert self._process is not None
            assert self._process.poll() is None or text in self.output, self.output
            return text in self.output

        until(is_there, 90, what=f"{text!r}\n{self.output}")

    def end(self, *signals: signal.Signals) -> int:
        """Send the signals, Ctrl-C if none is given, and wait for the end."""
        assert self._process is not None
        for number in signals or (signal.SIGINT,):
            self._process.send_signal(number)
            # Two that wait at once may arrive in any order.
            time.sleep(0.05)
        return self.wait(60)

    def end_with_many(self, number: signal.Signals) -> int:
        """Send the signal until the process has ended."""
        assert self._process is not None
        give_up_at = time.monotonic() + 60
        while self._process.poll() is None:
            assert time.monotonic() < give_up_at, self.output
            self._process.send_signal(number)
            time.sleep(0.001)
        return self.wait(0)

    def wait(self, seconds: float) -> int:
        """The exit code."""
        assert self._process is not None
        return self._process.wait(seconds)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def part(self, *words: str) -> psutil.Process:
        """The one process below ``turnout up`` whose command line has all of these words."""
        (found,) = self.parts(*words)
        return found

    def parts(self, *words: str) -> list[psutil.Process]:
        def fits(process: psutil.Process) -> bool:
            try:
                return set(words) <= set(process.cmdline())
            except psutil.NoSuchProcess:
                return False

        return [process for process in self.process.children(recursive=True) if fits(process)]

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.output
        return "Ctrl-C ends everything" in self.output and self.answers()

    def answers(self) -> bool:
        try:
            return httpx.get(self.url + "/readyz", trust_env=False).is_success
        except httpx.TransportError:
            return False


def free_port_pair() -> int:
    """A free port whose neighbour above is free too."""
    first, second = free_port(), free_port()
    while second != first + 1:
        first, second = second, free_port()
    return first


def whole_tree(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def wait_until_gone(processes: list[psutil.Process]) -> None:
    def left() -> list[psutil.Process]:
        return [process for process in processes if lives(process)]

    until(lambda: not left(), 60, what="the end of every process")


def nvidia_smi(directory: Path, *gpus: str) -> Path:
    """A directory for the front of ``PATH``: its nvidia-smi says these lines; without any it finds no driver."""
    directory.mkdir()
    said = "".join(f"echo '{line}'\n" for line in gpus) or "exit 9\n"
    (directory / "nvidia-smi").write_text(f"#!/bin/sh\n{said}")
    (directory / "nvidia-smi").chmod(0o755)
    return directory
