"""What the cluster's answers, and its silence, mean to a job."""

import tomllib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.errors import ClusterLost, UpstreamError, UpstreamUnfit
from workers.h2o_keeper import jvm
from workers.h2o_keeper.cloud import ask
from workers.h2o_keeper.jvm import KeeperError
from workers.runtimes.h2o_automl import client as client_module
from workers.runtimes.h2o_automl.client import REQUIRED_VERSION, H2OClient
from workers.runtimes.h2o_automl.connection import ClusterAddress
from workers.runtimes.h2o_automl.nodes import NodeLost

HEALTHY = {
    "version": REQUIRED_VERSION,
    "cloud_healthy": True,
    "consensus": True,
    "bad_nodes": 0,
    "cloud_size": 1,
    "nodes": [{"last_ping": 0, "ip_port": "h2o:1"}],
}
Respond = Callable[[httpx.Request], httpx.Response]


class Cluster:
    """Answers ``/3/Cloud`` as asked, and everything else by ``respond``; keeps what was asked."""

    def __init__(self, respond: Respond | None = None, **cloud: object) -> None:
        self.asked: list[str] = []
        self.cluster_id = "1"
        self._respond = respond
        self._cloud = {**HEALTHY, **cloud}

    def locate(self) -> ClusterAddress:
        return ClusterAddress("http://h2o", "user", "password", "1")

    def using(self) -> AbstractContextManager[None]:
        return nullcontext()

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        if request.url.path == "/3/Cloud" or self._respond is None:
            return httpx.Response(200, json=self._cloud, headers={"X-h2o-cluster-id": self.cluster_id})
        return self._respond(request)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[Cluster], H2OClient]:
    def connected(cluster: Cluster) -> H2OClient:
        transport = httpx.MockTransport(cluster.answer)
        monkeypatch.setattr(client_module, "_open", lambda _: httpx.Client(base_url="http://h2o", transport=transport))
        monkeypatch.setattr(client_module, "PATIENCE_SECONDS", 0.5)
        return H2OClient(cluster, lambda: None)

    return connected


Connect = Callable[[Cluster], H2OClient]


def silent(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("silent", request=request)


def test_everyone_means_the_same_version() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert f"h2o=={REQUIRED_VERSION}" in project["optional-dependencies"]["h2o"]
    assert jvm.REQUIRED_VERSION == REQUIRED_VERSION


def test_a_cluster_that_exports_no_models_is_refused(connect: Connect) -> None:
    refusal = r"http://h2o runs 3\.46\.0\.12, but Turnout needs 3\.46\.0\.11 exactly: newer versions refuse to export"
    with pytest.raises(UpstreamUnfit, match=refusal) as refused:
        connect(Cluster(version="3.46.0.12"))
    assert not refused.value.retryable


def test_the_keeper_refuses_it_too() -> None:
    cluster = Cluster(version="3.46.0.12")
    with (
        httpx.Client(base_url="http://h2o", transport=httpx.MockTransport(cluster.answer)) as client,
        pytest.raises(KeeperError, match=r"pip install h2o==3\.46\.0\.11"),
    ):
        ask(client)


def test_what_may_have_begun_is_not_begun_twice(connect: Connect) -> None:
    cluster = Cluster(silent)
    with pytest.raises(ClusterLost, match="stopped answering"):
        connect(cluster).post("/99/AutoMLBuilder")
    assert cluster.asked.count("POST /99/AutoMLBuilder") == 1


def test_what_changes_nothing_is_asked_again_until_patience_ends(connect: Connect) -> None:
    cluster = Cluster(silent)
    with pytest.raises(ClusterLost, match="stopped answering"):
        connect(cluster).get("/3/Jobs/1")
    assert cluster.asked.count("GET /3/Jobs/1") > 1


def test_another_life_of_the_cluster_is_not_the_same(connect: Connect) -> None:
    cluster = Cluster()
    client = connect(cluster)
    cluster.cluster_id = "2"
    with pytest.raises(ClusterLost, match="was restarted"):
        client.get("/3/Cloud")


def test_a_wrong_password_is_said_at_once(connect: Connect) -> None:
    cluster = Cluster(lambda _: httpx.Response(401))
    with pytest.raises(UpstreamError, match="refused the configured user and password"):
        connect(cluster).get("/3/Frames")
    assert cluster.asked.count("GET /3/Frames") == 1


@pytest.mark.parametrize("trouble", [{"cloud_healthy": False}, {"bad_nodes": 1}, {"consensus": False}])
def test_a_cluster_that_lost_a_node_is_not_healthy(connect: Connect, trouble: dict[str, Any]) -> None:
    connect(Cluster()).close()
    with pytest.raises(NodeLost, match="restart all its nodes"):
        connect(Cluster(**trouble))
