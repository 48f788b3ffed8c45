"""The API as the process that it is in production: set up, started, asked, ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.servers import free_port
from tests.unit.api.serving import Background
from tests.waiting import until
from turnout import Client, Conflict


class Api:
    """A home, and the processes that work in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TURNOUT_")}
        self.environment = {
            **kept,
            "TURNOUT_HOME": str(home),
            "TURNOUT_API_PORT": str(self.port),
            # Nobody listens there: what is accepted must not depend on the broker.
            "TURNOUT_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0",
            "TURNOUT_KINDS": "tests.unit.api.kinds",
            "PYTHONPATH": str(Path(__file__).parents[3]),
        }

    def set_up(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "api.setup", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def start(self) -> subprocess.Popen[bytes]:
        with (self.home / "api.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, "-P", "-m", "api"], env=self.environment, stderr=log)
        until(lambda: self._is_ready() or process.poll() is not None, 60, what="the API")
        assert process.poll() is None, (self.home / "api.log").read_text()
        return process

    def client(self) -> Client:
        return Client(f"http://127.0.0.1:{self.port}", (self.home / "api-key").read_text().strip())

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=2).is_success
        except httpx.TransportError:
            return False


@pytest.fixture
def api(tmp_path: Path) -> Api:
    api = Api(tmp_path)
    done = api.set_up()
    assert done.returncode == 0, done.stderr
    return api


def test_a_job_outlives_the_process_that_took_it(api: Api) -> None:
    process = api.start()
    with api.client() as client:
        job = client.submit("add_numbers", {"a": 1, "b": 2}, idempotency_key="once")
        process.kill()
        process.wait()
        process = api.start()
        assert client.job(job.id).state == "queued"
        assert client.submit("add_numbers", {"a": 1, "b": 2}, idempotency_key="once").id == job.id
        assert job.cancel().state == "cancelled"
        with pytest.raises(Conflict):
            job.cancel()
    process.terminate()
    assert process.wait(timeout=30) in (0, -signal.SIGTERM)


def test_its_end_does_not_wait_for_open_streams(api: Api) -> None:
    process = api.start()
    with api.client() as client:
        job = client.submit("add_numbers", {"a": 1, "b": 2})
        url, headers = f"{client.url}/v1/jobs/{job.id}", {"Authorization": f"Bearer {api_key(api)}"}
    # The client's own connection is none of those that are counted.
    until(lambda: not open_connections(process.pid, api.port), what="the client's farewell")
    poll = Background(lambda: httpx.get(f"{url}?wait=60", headers=headers, timeout=60).json()["state"])
    until(lambda: open_connections(process.pid, api.port) == 1, what="the first request")
    stream = Background(lambda: httpx.get(f"{url}/events", headers=headers, timeout=60).text)
    until(lambda: open_connections(process.pid, api.port) == 2, what="both requests")
    # Once this is answered, what those two sent has been read.
    assert httpx.get(url, headers=headers).status_code == 200
    process.terminate()
    assert process.wait(timeout=30) in (0, -signal.SIGTERM)
    assert "event: state" in str(stream.result())
    assert poll.result() == "queued"


def test_secrets_and_specs_stay_out_of_the_log(api: Api) -> None:
    process = api.start()
    with api.client() as client:
        client.submit("count_words", {"text": "very private"}, idempotency_key="private-key")
        httpx.get(f"{client.url}/v1/jobs?tag.secret=private", headers={"Authorization": "Bearer private"})
    process.terminate()
    process.wait(timeout=30)
    log = (api.home / "api.log").read_text()
    assert "route=/v1/jobs" in log
    for secret in ("private", api_key(api)):
        assert secret not in log


def test_a_lost_key_file_is_not_replaced_silently(api: Api) -> None:
    (api.home / "api-key").unlink()
    done = api.set_up()
    assert done.returncode == 1
    assert "--new-key" in done.stderr
    assert api.set_up("--new-key").returncode == 0
    assert api.set_up("--nonsense").returncode == 2


def api_key(api: Api) -> str:
    return (api.home / "api-key").read_text().strip()


def open_connections(pid: int, port: int) -> int:
    connections = psutil.Process(pid).net_connections(kind="tcp")
    return sum(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port for c in connections)
