import logging
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
import uvicorn
from click.testing import CliRunner, Result

from tests.unit.api.serving import HandWorker, Serving, make_serving
from tests.waiting import until
from turnout import Client
from turnout.cli.app import cli


class Server:
    """A real server on a free port, in a thread."""

    def __init__(self, serving: Serving, port: int = 0) -> None:
        self.serving = serving
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(serving.make_app(), log_config=None, timeout_graceful_shutdown=1)
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, args=([self._socket],), daemon=True)
        self._thread.start()
        until(lambda: self._uvicorn.started)

    def close(self) -> None:
        self.serving.services.tailer.closing = True
        self._uvicorn.should_exit = True
        self._thread.join(timeout=10)
        self.serving.services.database.dispose()


@pytest.fixture(scope="session", autouse=True)
def _quiet_server() -> Iterator[None]:
    """The server's log would be taken for the command's output: both are in this process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(make_serving(tmp_path_factory.mktemp("server")))
    yield server
    server.close()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, server.serving.keys.ann) as client:
        yield client


@pytest.fixture(scope="module")
def worker(server: Server) -> HandWorker:
    return server.serving.worker


@pytest.fixture
def turnout(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command line with ann's key, in an empty directory."""
    monkeypatch.setenv("TURNOUT_URL", server.url)
    monkeypatch.setenv("TURNOUT_API_KEY", server.serving.keys.ann)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, text: str | None = None) -> Result:
        return CliRunner().invoke(cli, arguments, input=text, prog_name="turnout")

    return run
