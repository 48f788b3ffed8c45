"""A node that is lost is missed, and one that is slow is not."""

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.contracts import Document
from tasks.errors import ClusterLost
from tests.fakes.job_context import FakeJobContext
from workers.runtimes.h2o_automl import client as client_module
from workers.runtimes.h2o_automl import runtime
from workers.runtimes.h2o_automl.client import LONG_READ_SECONDS, H2OClient
from workers.runtimes.h2o_automl.connection import ClusterAddress, ClusterSource, FixedCluster, KeptCluster
from workers.runtimes.h2o_automl.nodes import NodeLost, Nodes
from workers.runtimes.h2o_automl.overseen import overseen
from workers.runtimes.h2o_automl.run_state import RunState
from workers.runtimes.h2o_automl.runtime import H2OAutoMLRuntime

ADDRESS = ClusterAddress("http://cluster", "u", "p")


def cloud(*silent_seconds: float, healthy: bool = True) -> dict[str, Any]:
    nodes = [
        {"ip_port": f"10.0.0.{number}:54321", "last_ping": 1_000_000 - int(1000 * silent)}
        for number, silent in enumerate(silent_seconds)
    ]
    said = {
        "cloud_healthy": healthy,
        "consensus": True,
        "bad_nodes": 0 if healthy else 1,
        "cloud_uptime_millis": 60_000,
    }
    return {**said, "cloud_size": len(nodes), "version": "3.46.0.11", "nodes": nodes}


def all_refuse(_address: str) -> bool:
    return True


def test_what_h2o_says_is_believed() -> None:
    nodes = Nodes(cloud(0), all_refuse)
    nodes.require_all(cloud(0))
    with pytest.raises(NodeLost, match="lost 1 of its 1 nodes; restart all"):
        nodes.require_all(cloud(0, healthy=False))


class Ports:
    def __init__(self) -> None:
        self.refused: bool | None = False

    def refuses(self, _address: str) -> bool | None:
        return self.refused


@pytest.mark.parametrize(
    ("silent", "before", "now", "lost"),
    [
        (30, False, True, True),
        # Slow, or in a long collection of garbage: it still takes connections, or answers nothing.
        (30, False, False, False),
        (30, False, None, False),
        (3, False, True, False),
        # Behind a firewall, or under an address that means another machine here.
        (30, True, True, False),
        (30, None, True, False),
    ],
)
def test_a_silent_node_is_lost_if_its_port_was_open_and_is_closed(
    silent: float, before: bool | None, now: bool | None, lost: bool
) -> None:
    ports = Ports()
    ports.refused = before
    nodes = Nodes(cloud(0, 0), ports.refuses)
    ports.refused = now
    if lost:
        with pytest.raises(NodeLost, match=r"its node 10\.0\.0\.1:54321"):
            nodes.require_all(cloud(0, silent))
    else:
        nodes.require_all(cloud(0, silent))


def test_a_call_that_never_returns_is_left_when_the_look_says_so() -> None:
    ended = threading.Event()

    def look() -> None:
        raise NodeLost("gone")

    with pytest.raises(NodeLost):
        overseen(lambda: ended.wait(30), look, 0.01)
    ended.set()

    def fail() -> None:
        raise httpx.ReadTimeout("never")

    with pytest.raises(httpx.ReadTimeout):
        overseen(fail, look, 5)
    assert overseen(lambda: 7, look, 5) == 7


class Server:
    """Answers ``/3/Cloud`` with ``said``, and nothing else."""

    def __init__(self) -> None:
        self.said: Any = cloud(0)
        self.asked = 0

    def handle(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/3/Cloud"
        self.asked += 1
        return httpx.Response(200, json=self.said, headers={"X-h2o-cluster-id": "1"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    transport = httpx.MockTransport(made.handle)
    monkeypatch.setattr(client_module, "_open", lambda _address: httpx.Client(transport=transport, base_url="http://c"))
    return made


def connect(source: ClusterSource | None = None) -> H2OClient:
    return H2OClient(source or FixedCluster(ADDRESS), lambda: None)


def test_nobody_connects_to_a_cluster_that_lost_a_node(server: Server) -> None:
    server.said = cloud(0, 0, healthy=False)
    with pytest.raises(NodeLost):
        connect()


def test_nothing_begins_while_a_node_is_silent(server: Server) -> None:
    server.said = cloud(0, 30)
    with pytest.raises(NodeLost, match="its node"):
        connect()
    server.said = cloud(0, 3)
    connect().close()


def test_nothing_begins_before_all_nodes_may_have_joined(server: Server) -> None:
    server.said = {**cloud(0), "cloud_uptime_millis": 2000}
    with pytest.raises(ClusterLost, match="just started"):
        connect()
    server.said = {**cloud(0, 0), "cloud_uptime_millis": 20_000}
    connect().close()


def test_health_is_looked_at_now_and_then(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect()
    server.said = cloud(0, healthy=False)
    client.require_health()
    assert server.asked == 1
    monkeypatch.setattr(client_module, "HEALTH_SECONDS", 0.0)
    client._health_due = 0.0
    with pytest.raises(NodeLost):
        client.require_health()


def test_a_long_call_to_several_nodes_is_left_when_one_is_lost(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "HEALTH_SECONDS", 0.01)
    server.said = cloud(0, 0)
    client = connect()
    answer = server.handle
    blocked = threading.Event()

    def hang(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            server.said = cloud(0, 0, healthy=False)
            blocked.wait(30)
        return answer(request)

    client._http = httpx.Client(transport=httpx.MockTransport(hang), base_url="http://c")
    with pytest.raises(NodeLost):
        client.post("/99/Rapids", {}, read_seconds=LONG_READ_SECONDS)
    blocked.set()


@pytest.mark.parametrize("saved", [None, {"any": "checkpoint"}])
def test_a_job_waits_long_for_people_to_restart_what_is_theirs(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: Document | None
) -> None:
    monkeypatch.setattr(runtime, "CLUSTER_PATIENCE_SECONDS", 0.0)
    server.said = cloud(0, 0, healthy=False)
    job = FakeJobContext(tmp_path, saved_checkpoint=saved)
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            server.said = cloud(0, 0)

    monkeypatch.setattr(job, "wait", wait)
    H2OAutoMLRuntime(FixedCluster(ADDRESS))._connect(job).close()
    ((_, said, _),) = job.reports
    assert said.startswith("Waiting for the H2O cluster. The H2O cluster lost 1 of its 2 nodes; restart all")


def test_a_keeper_replaces_its_cluster_soon_or_not_at_all(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "CLUSTER_PATIENCE_SECONDS", 0.0)
    with pytest.raises(ClusterLost, match="There is no H2O cluster"):
        H2OAutoMLRuntime(KeptCluster(tmp_path / "cluster.json"))._connect(FakeJobContext(tmp_path))


@pytest.mark.parametrize("cluster_id", ["1", "2"])
def test_what_lies_in_a_cluster_that_is_only_slow_is_freed_later(
    server: Server, tmp_path: Path, cluster_id: str
) -> None:
    server.said = cloud(0, 30)
    file = tmp_path / "cluster.json"
    said = {"url": "http://c", "user": "u", "password": "p", "cluster_id": "1", "outside_bytes": None}
    file.write_text(json.dumps(said))
    left = RunState("j", "y", 1, cluster_id).document()
    if cluster_id == "1":
        with pytest.raises(NodeLost):
            H2OAutoMLRuntime(KeptCluster(file)).clean_up(left)
    else:
        H2OAutoMLRuntime(KeptCluster(file)).clean_up(left)
        assert server.asked == 0
