"""Who may ask the doctor, and what it says of a machine and of servers that are made up here."""

import contextlib
import json
import resource
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from api.doctor.broker import broker_findings
from api.doctor.clocks import worker_clocks
from api.doctor.file_systems import file_systems_finding
from api.doctor.findings import Finding, Status
from api.doctor.process import descriptors_finding
from api.doctor.surroundings import Surroundings, address_finding, disk_finding, flower_finding, h2o_finding
from api.settings import ApiSettings
from db.rows import WorkerRow
from db.store import Store
from tasks.broker_facts import BrokerFacts
from tests.unit.api.serving import Serving

NOBODY = "http://127.0.0.1:9"


class Answers(HTTPServer):
    """A server that answers everything with one status and body."""

    status, body, encoding = 200, b"{}", "identity"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Answers

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.send_header("Content-Encoding", self.server.encoding)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def other() -> Iterator[Answers]:
    server = Answers(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_only_admins_are_told(client: TestClient, serving: Serving) -> None:
    refused = client.get("/v1/doctor")
    assert (refused.status_code, refused.json()["code"]) == (403, "admin_needed")
    assert "findings" not in refused.json()
    assert client.get("/v1/doctor", headers={"Authorization": ""}).status_code == 401
    assert client.get("/v1/doctor", headers={"Authorization": "Bearer wrong"}).status_code == 401
    told = client.get("/v1/doctor", headers={"Authorization": f"Bearer {serving.keys.admin}"})
    assert told.status_code == 200
    assert told.json()["findings"]


def test_space(tmp_path: Path) -> None:
    store = Store(tmp_path)
    free = store.free_bytes()
    assert disk_finding(store, 0).status is Status.OK
    assert disk_finding(store, free // 2).status is Status.WARN
    assert disk_finding(store, 2 * free).status is Status.FAIL


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1", "ok"), ("::1", "ok"), ("localhost", "ok"), ("0.0.0.0", "warn"), ("api", "warn")],  # noqa: S104
)
def test_a_public_address(host: str, status: str) -> None:
    assert address_finding(ApiSettings(api_host=host)).status == status


@pytest.mark.parametrize(
    ("kind", "place", "status"),
    [("ext4", "/", "ok"), ("nfs4", "/data", "fail"), ("tmpfs", "/data", "warn"), ("nfs4", "/else where", "ok")],
)
def test_where_the_data_lies(tmp_path: Path, kind: str, place: str, status: str) -> None:
    mounts = tmp_path / "mounts"
    escaped = place.replace(" ", "\\040")
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {escaped} {kind} rw 0 0\n")
    assert file_systems_finding(Path("/data/turnout.db"), Path("/data/store"), mounts).status == status


def test_a_place_with_a_space_in_its_name(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda / ext4 rw 0 0\nserver:/x /my\\040data nfs rw 0 0\n")
    assert file_systems_finding(Path("/my data/turnout.db"), Path("/store"), mounts).status is Status.FAIL


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a file system in memory")  # noqa: S108
def test_data_in_memory() -> None:
    assert file_systems_finding(None, Path("/dev/shm/store")).status is Status.WARN  # noqa: S108


def test_few_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        assert descriptors_finding().status is Status.WARN
        with contextlib.ExitStack() as files:
            for _ in range(450):
                files.enter_context(Path("/dev/null").open())
            assert descriptors_finding().status is Status.FAIL
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
        assert descriptors_finding().status is Status.OK
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(("ahead", "status"), [(0, "ok"), (-4, "ok"), (600, "warn"), (-600, "warn")])
def test_a_worker_s_clock(ahead: int, status: str) -> None:
    now = datetime.now(UTC)
    made_at = int((now + timedelta(seconds=ahead)).timestamp() * 1000)
    worker_id = str(UUID(int=made_at << 80 | 7 << 76 | 2 << 62))
    worker = WorkerRow(id=worker_id, name="cpu-0", started_at=now)
    (finding,) = worker_clocks([worker])
    assert finding.status == status
    assert status == "ok" or ("ahead of" in finding.message) is (ahead > 0)


def announced(directory: Path, url: str, *pids: int) -> Path:
    (directory / "h2o").mkdir(exist_ok=True)
    place = directory / "h2o" / "cluster.json"
    cluster = {"url": url, "version": "3.46.0.11", "password": "secret", "user": "u", "pids": pids or (1,)}
    place.write_text(json.dumps(cluster))
    return place


def h2o(place: Path | None = None, url: str | None = None) -> Finding:
    found = h2o_finding(Surroundings(h2o_cluster_file=place, h2o_url=url))
    assert found is not None
    return found


def test_the_embedded_cluster(tmp_path: Path, other: Answers) -> None:
    assert h2o_finding(Surroundings()) is None
    assert h2o_finding(Surroundings(h2o_cluster_file=tmp_path / "h2o" / "cluster.json")) is None
    place = announced(tmp_path, other.url)
    other.status = 401
    healthy = h2o(place)
    assert (healthy.status, healthy.message) == (Status.OK, "The embedded H2O cluster (version 3.46.0.11) answers.")
    assert "cluster of 2 nodes (version" in h2o(announced(tmp_path, other.url, 1, 2)).message
    place.write_text("{")
    assert h2o(place).status is Status.FAIL
    place.unlink()
    assert h2o(place).status is Status.FAIL


def test_an_embedded_cluster_that_is_gone(tmp_path: Path) -> None:
    gone = h2o(announced(tmp_path, NOBODY))
    assert gone.status is Status.FAIL
    assert NOBODY not in gone.message


@pytest.mark.parametrize(
    ("status", "body", "expected", "said"),
    [
        (200, {"version": "3.46.0.11", "cloud_healthy": True}, "ok", "3.46.0.11"),
        (200, {"version": "3.46.0.11", "cloud_healthy": False}, "fail", "not healthy"),
        (200, {"hello": "world"}, "fail", "something else"),
        (401, {}, "ok", "asks for the password"),
    ],
)
def test_a_cluster_elsewhere(other: Answers, status: int, body: dict[str, object], expected: str, said: str) -> None:
    other.status, other.body = status, json.dumps(body).encode()
    found = h2o(url=other.url)
    assert (found.status, said in found.message) == (expected, True)


@pytest.mark.parametrize("url", [NOBODY, "http://[::1", "nonsense"])
def test_a_cluster_that_is_nowhere(url: str) -> None:
    assert h2o(url=url).status is Status.FAIL


def test_flower(other: Answers) -> None:
    assert flower_finding(other.url).status is Status.OK
    other.status = 500
    assert flower_finding(other.url).status is Status.WARN
    assert flower_finding(NOBODY).status is Status.WARN


def test_answers_that_cannot_be_read(other: Answers) -> None:
    other.encoding = "gzip"
    assert flower_finding(other.url).status is Status.WARN
    assert h2o(url=other.url).status is Status.FAIL


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (None, ["ok"]),
        (BrokerFacts(0.001, "8.1", None, None), ["ok", "warn", "warn", "ok", "ok"]),
        (BrokerFacts(0.2, "8.1", "noeviction", True), ["warn", "ok", "ok", "ok", "ok"]),
        (BrokerFacts(0.001, "8.1", "volatile-ttl", False), ["ok", "fail", "warn", "ok", "ok"]),
        (BrokerFacts(0.001, "6.0.20", "noeviction", True), ["ok", "ok", "ok", "ok", "ok", "warn"]),
        (BrokerFacts(0.001, "?", "noeviction", True, open_to="network"), ["ok", "ok", "ok", "ok", "fail"]),
    ],
)
def test_brokers(monkeypatch: pytest.MonkeyPatch, facts: BrokerFacts | None, expected: list[str]) -> None:
    monkeypatch.setattr("api.doctor.broker.broker_facts", lambda _url: facts)
    assert [finding.status for finding in broker_findings("redis://nobody")] == expected
