"""A whole Turnout on this machine: ``turnout up``."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from turnout.connection import remember
from turnout.stack.children import Child, Children
from turnout.stack.devices import gpu_numbers
from turnout.stack.errors import StackError
from turnout.stack.home import prepare_home, take_home
from turnout.stack.parts import FLOWER_USER, Parts
from turnout.stack.ports import taken_ports
from turnout.stack.probes import answers, has_worker, redis_answers
from turnout.stack.secrets import load_secrets
from turnout.stack.settings import StackSettings
from turnout.stack.signals import Signals

_START_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_FAILURES_TO_GIVE_UP = 3
# A worker gives its jobs the grace period to end, then hands them back, which may have to wait for the database.
_HAND_BACK_SECONDS = 15.0
_SERVERS_SECONDS = 12.0


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
    """Starts everything, keeps it running, ends it. Use it from the main thread, and always ``stop`` it.

    From ``start`` on, SIGINT, SIGTERM and SIGHUP interrupt nothing by themselves: ``start`` raises ``ToldToEnd`` when
    it sees one, ``run_until_signalled`` returns, and ``stop`` does its work to the end.
    """

    def __init__(self, settings: StackSettings) -> None:
        self._settings = settings
        self._home = settings.home.absolute()
        self._children: Children | None = None
        self._gpus: Sequence[int] = ()
        self._lock: IO[bytes] | None = None
        self._signals = Signals()

    def start(self, say: Callable[[str], None]) -> Connection:
        """Start every process and wait until jobs can be submitted. H2O may take some seconds longer; jobs wait for it.

        Raises ``StackError`` (a port is taken, another stack runs in this home, a process does not start) and
        ``ToldToEnd``.
        """
        self._signals.catch()
        # What this process makes is for its user only, even below a directory that was made for all to read.
        os.umask(0o077)
        try:
            return self._start_all(say)
        except OSError as exc:
            raise StackError(f"Turnout can't start in {self._home}: {exc}") from exc

    def run_until_signalled(self) -> None:
        """Return after SIGINT, SIGTERM or SIGHUP."""
        self._signals.wait()

    def interruptible(self) -> AbstractContextManager[None]:
        """For work on a running stack: in here the first signal raises ``ToldToEnd``."""
        return self._signals.raising()

    def stop(self) -> None:
        """End everything that was started: first what takes work, then the servers it needs."""
        if self._children is not None:
            workers_seconds = self._settings.grace_seconds + _HAND_BACK_SECONDS
            gpus = [f"worker-gpu-{number}" for number in self._gpus]
            self._children.stop(["worker-h2o", "worker-cpu", *gpus, "api", "flower"], workers_seconds)
            self._children.stop_rest(_SERVERS_SECONDS)
            self._children = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _start_all(self, say: Callable[[str], None]) -> Connection:
        self._home = self._settings.home.resolve()
        prepare_home(self._home)
        self._lock = take_home(self._home)
        taken = taken_ports(self._settings.ports())
        if taken:
            raise StackError("\n".join(taken))
        secrets = load_secrets(self._home)
        parts = Parts(self._settings, self._home, secrets)
        children = self._children = Children(self._home)
        if self._settings.broker_url is None:
            say("Starting Redis (Valkey) …")
            redis = parts.redis()
            children.start(redis)
            self._wait_for(redis, lambda: redis_answers(self._settings.redis_port, secrets.redis_password))
        say("Preparing the database …")
        self._prepare(parts)
        say("Starting the API, the workers, H2O and Flower …")
        connection = self._start_rest(children, parts, secrets.flower_password)
        self._remember(connection, say)
        return connection

    def _prepare(self, parts: Parts) -> None:
        # The tether holds as long as this process, for the main thread ends with it.
        tether = [sys.executable, "-P", "-m", "workers.tether", str(os.getpid())]
        with tempfile.TemporaryFile() as output:
            setup = subprocess.Popen(
                [*tether, sys.executable, "-P", "-m", "api.setup"],
                env=parts.server_environment(),
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                start_new_session=True,
            )
            try:
                while setup.poll() is None:
                    self._signals.check()
                    time.sleep(_LOOK_SECONDS)
            finally:
                # It works in transactions, so that what is cut short was never there.
                setup.kill()
                setup.wait()
            if setup.returncode != 0:
                output.seek(0)
                raise StackError(f"The database can't be prepared.\n{output.read().decode(errors='replace').strip()}")

    def _start_rest(self, children: Children, parts: Parts, flower_password: str) -> Connection:
        if self._settings.h2o_url is None:
            children.start(parts.keeper())
        self._gpus = gpu_numbers()
        workers = [
            ("h2o", parts.worker("h2o", "--slots", str(self._settings.h2o_slots))),
            ("cpu", parts.worker("cpu")),
            *(("gpu", parts.gpu_worker(number)) for number in self._gpus),
        ]
        api, flower = parts.api(), parts.flower()
        for child in (api, *(worker for _queue, worker in workers), flower):
            children.start(child)
        connection = Connection(
            url=f"http://127.0.0.1:{self._settings.api_port}",
            api_key=(self._home / "api-key").read_text().strip(),
            flower_url=f"http://127.0.0.1:{self._settings.flower_port}",
            flower_user=FLOWER_USER,
            flower_password=flower_password,
            home=self._home,
        )
        self._wait_for(api, lambda: answers(connection.url + "/readyz"))
        for queue, worker in workers:
            self._wait_for(worker, lambda worker=worker, queue=queue: _is_there(connection, worker, queue))  # type: ignore[misc]
        self._wait_for(flower, lambda: answers(connection.flower_url + "/healthcheck"))
        return connection

    def _wait_for(self, child: Child, is_ready: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + _START_SECONDS
        while not is_ready():
            self._signals.check()
            if child.failures >= _FAILURES_TO_GIVE_UP or time.monotonic() > give_up_at:
                raise StackError(f"{child.name} does not start. The end of {child.log_file}:\n{child.last_log_lines()}")
            time.sleep(_LOOK_SECONDS)
        self._signals.check()

    def _remember(self, connection: Connection, say: Callable[[str], None]) -> None:
        key_file = self._home / "api-key"
        try:
            remember(connection.url, key_file)
        # Without HOME in the environment, and without an entry for the user, Python knows no home directory.
        except (OSError, RuntimeError) as exc:
            say(
                f"Clients won't find this server by themselves ({exc}). Tell them with TURNOUT_URL={connection.url} "
                f"and TURNOUT_API_KEY=$(cat {key_file})."
            )


def _is_there(connection: Connection, worker: Child, queue: str) -> bool:
    # The tether becomes the worker, so their process id is one.
    return worker.process is not None and has_worker(connection.url, connection.api_key, queue, worker.process.pid)
