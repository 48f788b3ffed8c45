"""A whole Turnout on this machine: ``turnout up``."""

import fcntl
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

import httpx

from turnout.connection import remember
from turnout.stack.children import Child, Children
from turnout.stack.parts import FLOWER_USER, Parts
from turnout.stack.ports import taken_ports
from turnout.stack.secrets import load_secrets
from turnout.stack.settings import StackSettings

_START_SECONDS = 60.0
_FAILURES_TO_GIVE_UP = 3
# A worker gives its jobs five seconds to end, then hands them back.
_WORKERS_SECONDS = 20.0
_SERVERS_SECONDS = 12.0


class StackError(Exception):
    """The stack can't start; the message says what to do."""


@dataclass(frozen=True)
class Connection:
    """Where a running stack is reached."""

    url: str
    api_key: str
    flower_url: str
    flower_user: str
    flower_password: str
    home: Path


class Stack:
    """Starts everything, keeps it running, ends it. Use it from the main thread; ``stop`` is safe at any time."""

    def __init__(self, settings: StackSettings) -> None:
        self._settings = settings
        self._home = settings.home.resolve()
        self._children: Children | None = None
        self._lock: IO[bytes] | None = None
        self._signalled = threading.Event()

    def start(self, say: Callable[[str], None]) -> Connection:
        """Start every process and wait until jobs can be submitted. H2O may take some seconds longer; jobs wait for it.

        Raises ``StackError``: a port is taken, another stack runs in this home, or a process does not start.
        """
        for directory in (self._home, self._home / "logs", self._home / "run"):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._take_home()
        taken = taken_ports(self._settings.ports())
        if taken:
            raise StackError("\n".join(taken))
        secrets = load_secrets(self._home)
        parts = Parts(self._settings, self._home, secrets)
        children = self._children = Children(self._home)
        if self._settings.broker_url is None:
            say("Starting Redis (Valkey) …")
            self._start(
                children, parts.redis(), lambda: _redis_answers(self._settings.redis_port, secrets.redis_password)
            )
        say("Preparing the database …")
        self._prepare(parts)
        say("Starting the API, the workers, H2O and Flower …")
        connection = self._start_rest(children, parts, secrets.flower_password)
        remember(connection.url, self._home / "api-key")
        return connection

    def run_until_signalled(self) -> None:
        """Return after SIGINT, SIGTERM or SIGHUP."""

        def note(_number: int, _frame: FrameType | None) -> None:
            self._signalled.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, note)
        # In steps, since a wait without a limit may delay a signal.
        while not self._signalled.wait(0.5):
            pass

    def stop(self) -> None:
        """End everything that was started: first what takes work, then the servers it needs."""
        if self._children is not None:
            self._children.stop(["worker-h2o", "worker-cpu", "api", "flower"], _WORKERS_SECONDS)
            self._children.stop_rest(_SERVERS_SECONDS)
            self._children = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_home(self) -> None:
        lock = (self._home / "run" / "up.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise StackError(
                f"Turnout is already running in {self._home}; stop it, or choose another --home."
            ) from None
        self._lock = lock

    def _prepare(self, parts: Parts) -> None:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "api.setup"],
            env=parts.server_environment(),
            cwd=self._home,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"The database can't be prepared.\n{done.stderr.strip()}")

    def _start_rest(self, children: Children, parts: Parts, flower_password: str) -> Connection:
        if self._settings.h2o_url is None:
            children.start(parts.keeper())
        workers = [parts.worker("h2o", "--slots", str(self._settings.h2o_slots)), parts.worker("cpu")]
        api, flower = parts.api(), parts.flower()
        for child in (api, *workers, flower):
            children.start(child)
        connection = Connection(
            url=f"http://127.0.0.1:{self._settings.api_port}",
            api_key=(self._home / "api-key").read_text().strip(),
            flower_url=f"http://127.0.0.1:{self._settings.flower_port}",
            flower_user=FLOWER_USER,
            flower_password=flower_password,
            home=self._home,
        )
        self._wait_for(api, lambda: _answers(connection.url + "/readyz"))
        for worker, queue in zip(workers, ("h2o", "cpu"), strict=True):
            self._wait_for(worker, lambda queue=queue: _has_worker(connection, queue))  # type: ignore[misc]
        self._wait_for(flower, lambda: _answers(connection.flower_url + "/healthcheck"))
        return connection

    def _start(self, children: Children, child: Child, is_ready: Callable[[], bool]) -> None:
        children.start(child)
        self._wait_for(child, is_ready)

    def _wait_for(self, child: Child, is_ready: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + _START_SECONDS
        while not is_ready():
            if child.failures >= _FAILURES_TO_GIVE_UP or time.monotonic() > give_up_at:
                raise StackError(f"{child.name} does not start. The end of {child.log_file}:\n{child.last_log_lines()}")
            time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _has_worker(connection: Connection, queue: str) -> bool:
    headers = {"Authorization": f"Bearer {connection.api_key}"}
    try:
        answer = httpx.get(connection.url + "/v1/queues", headers=headers, timeout=5)
    except httpx.TransportError:
        return False
    return answer.is_success and any(row["name"] == queue and row["live_workers"] for row in answer.json()["queues"])


def _redis_answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            # A server that still loads its file answers with -LOADING.
            return b"+PONG" in _read_lines(connection, 2)
    except OSError:
        return False


def _read_lines(connection: socket.socket, count: int) -> bytes:
    received = b""
    while received.count(b"\n") < count and (part := connection.recv(4096)):
        received += part
    return received
