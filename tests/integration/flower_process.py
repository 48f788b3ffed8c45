"""Flower as `turnout up` starts it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.flower_view import FlowerView
from tests.servers import free_port
from tests.waiting import until

_PASSWORD = "flower-password"  # noqa: S105 - of a test's own Flower


class FlowerProcess:
    """One Flower, which can be killed and started again."""

    def __init__(self, home: Path, broker_url: str, database_url: str) -> None:
        self._home = home
        self._port = free_port()
        self._environment = {
            **os.environ,
            "TURNOUT_HOME": str(home),
            "TURNOUT_BROKER_URL": broker_url,
            "TURNOUT_DATABASE_URL": database_url,
            "FLOWER_BASIC_AUTH": f"turnout:{_PASSWORD}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        self.log = home / "flower.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.view = FlowerView(f"http://127.0.0.1:{self._port}", _PASSWORD)

    def start(self) -> None:
        arguments = [
            "--address=127.0.0.1",
            f"--port={self._port}",
            "--persistent=True",
            f"--db={self._home / 'flower.db'}",
        ]
        arguments += ["--state-save-interval=5000", "--purge-offline-workers=60"]
        command = [sys.executable, "-P", "-m", "workers.flower", *arguments]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        until(self.view.is_up, 90, what="Flower")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def files(self) -> list[Path]:
        """What it keeps over a restart; Python's dbm makes one file or several of the one that was named."""
        return list(self._home.glob("flower.db*"))
