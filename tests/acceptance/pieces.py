"""An API and workers as processes of the test, for stories in which nobody may restart what the test has killed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil

from db.engine import Database
from tests.acceptance.ledger import Ledger
from tests.acceptance.program import wait_until_gone
from tests.acceptance.stand import KINDS
from tests.servers import free_port
from tests.waiting import until
from turnout import Client
from turnout.job import Job

_PYTHON = (sys.executable, "-P", "-m")


class Pieces:
    """One home, its API, and as many workers as the test starts."""

    def __init__(self, directory: Path, broker_url: str) -> None:
        self.ledger = Ledger(directory / "ledger")
        self._home = directory / "home"
        self._home.mkdir()
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TURNOUT_")}
        own = {
            "TURNOUT_HOME": str(self._home),
            "TURNOUT_API_PORT": str(port),
            "TURNOUT_BROKER_URL": broker_url,
        }
        self._environment = {**kept, **KINDS, **own}

    @contextmanager
    def serving(self) -> Iterator[Client]:
        """The API, while the block runs."""
        subprocess.run([*_PYTHON, "api.setup"], env=self._environment, check=True)
        with self._running("api"):
            until(self._answers, 60, what="the API")
            with Client(self._url, (self._home / "api-key").read_text().strip()) as client:
                yield client

    @contextmanager
    def worker(self, slots: int = 2) -> Iterator[psutil.Process]:
        """A cpu worker, while the block runs."""
        with self._running("workers", "--queue", "cpu", "--slots", str(slots)) as process:
            yield process

    def submit(self, client: Client, entry: str, steps: int = 1) -> Job:
        return client.submit("keep_ledger", {"ledger": str(self.ledger.path), "entry": entry, "steps": steps})

    def freeze(self, worker: psutil.Process) -> None:
        """SIGSTOP while the worker is in no transaction: one frozen inside would keep everyone else from writing, for
        SQLite, unlike PostgreSQL, ends no transaction but its process's."""
        database = Database(f"sqlite:///{self._home / 'turnout.db'}")
        with database.write() as session:
            session.connection()
            worker.suspend()
            until(lambda: worker.status() == psutil.STATUS_STOPPED, what="a frozen worker")
        database.dispose()

    @contextmanager
    def _running(self, *arguments: str) -> Iterator[psutil.Process]:
        with ExitStack() as stack:
            log = stack.enter_context((self._home / "log").open("ab"))
            process = subprocess.Popen([*_PYTHON, *arguments], env=self._environment, stdout=log, stderr=log)
            stack.callback(process.kill)
            yield psutil.Process(process.pid)
            below = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            process.wait(60)
            wait_until_gone(below)

    def _answers(self) -> bool:
        try:
            return bool(httpx.get(self._url + "/readyz", trust_env=False).is_success)
        except httpx.TransportError:
            return False
