"""When a cluster is given up for what it leaked, and when not."""

import fcntl
import time
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from workers.h2o_keeper import recycling
from workers.h2o_keeper.cloud import Cloud, Door
from workers.h2o_keeper.layout import ClusterFile, Layout
from workers.h2o_keeper.recycling import Recycler
from workers.runtimes.h2o_automl.connection import KeptCluster

MOST = 100
LEAKED = Cloud("1", "3.46.0.11", 1, healthy=True, objects=MOST + 1, used_share=0.1)


class Server:
    """A cluster that holds ``state``."""

    def __init__(self, **state: Any) -> None:
        self.state: dict[str, Any] = {"jobs": [], "frames": [], "keys": MOST + 1, "free": 900, **state}
        self.asked: list[str] = []

    @property
    def door(self) -> Door:
        return cast(Door, self)

    def client(self, timeout_seconds: float) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self._handle), base_url="http://c", timeout=timeout_seconds)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        state = self.state
        self.asked.append(request.url.path)
        cloud = {"cloud_size": 1, "cloud_healthy": True, "consensus": True, "bad_nodes": 0, "version": "3.46.0.11"}
        node = {"max_mem": 1000, "free_mem": state["free"], "num_keys": state["keys"]}
        answers: dict[str, Any] = {
            "/3/Jobs": {"jobs": [{"status": status} for status in state["jobs"]]},
            "/3/Frames": {"frames": [{"frame_id": {"name": name}} for name in state["frames"]]},
            "/3/GarbageCollect": {},
            "/3/Cloud": {**cloud, "nodes": [node]},
        }
        return httpx.Response(200, json=answers[request.url.path], headers={"X-h2o-cluster-id": "1"})


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "h2o")
    made.prepare()
    made.announce(ClusterFile("http://c", "u", "p", "1", (1,), "3.46.0.11"))
    return made


@pytest.mark.parametrize(
    ("objects", "used_share", "most", "due"),
    [(101, 0.1, 100, True), (100, 0.1, 100, False), (10**9, 0.1, 0, False), (0, 0.6, 100, True), (0, 0.6, 0, True)],
)
def test_it_is_due_by_objects_or_by_memory(
    layout: Layout, objects: int, used_share: float, most: int, due: bool
) -> None:
    cloud = Cloud("1", "3.46.0.11", 1, healthy=True, objects=objects, used_share=used_share)
    assert Recycler(layout, Server().door, most).is_due(cloud) is due
    assert not Recycler(layout, Server().door, most).is_due(None)


def test_an_idle_one_is_withdrawn(layout: Layout) -> None:
    assert Recycler(layout, Server(jobs=["DONE", "CANCELLED"], frames=["other"]).door, MOST).take_down()
    assert not layout.cluster_file.exists()


def test_one_in_use_is_not(layout: Layout) -> None:
    server = Server()
    recycler = Recycler(layout, server.door, MOST)
    with KeptCluster(layout.cluster_file).using():
        assert not recycler.take_down()
        # It may be looked at again at once.
        assert recycler.is_due(LEAKED)
    assert server.asked == []
    assert recycler.take_down()


def test_a_lock_that_can_only_be_read_is_enough(layout: Layout) -> None:
    layout.use_file.chmod(0o400)
    with KeptCluster(layout.cluster_file).using():
        assert not Recycler(layout, Server().door, MOST).take_down()


def test_who_comes_while_it_is_withdrawn_sees_none(layout: Layout) -> None:
    source = KeptCluster(layout.cluster_file)
    with layout.use_file.open("rb") as keeper:
        fcntl.flock(keeper, fcntl.LOCK_EX)
        layout.withdraw()
    with source.using():
        assert source.locate() is None


@pytest.mark.parametrize(
    "state",
    [
        {"jobs": ["DONE", "RUNNING"]},
        {"jobs": ["CREATED"]},
        {"frames": ["job_1_r1_train"]},
        # What was in use was a training's.
        {"keys": 3},
    ],
)
def test_what_is_still_of_use_stays(layout: Layout, state: dict[str, Any]) -> None:
    recycler = Recycler(layout, Server(**state).door, MOST)
    assert not recycler.take_down()
    assert layout.cluster_file.exists()
    assert not recycler.is_due(LEAKED)


def test_memory_counts_without_its_garbage(layout: Layout) -> None:
    server = Server(keys=3, free=400)
    assert Recycler(layout, server.door, MOST).take_down()
    assert server.asked.index("/3/GarbageCollect") < server.asked.index("/3/Cloud")


def test_what_nobody_frees_holds_it_up_for_a_while_only(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(frames=["job_1_r1_train"])
    recycler = Recycler(layout, server.door, MOST)
    assert not recycler.take_down()
    # Much later another job's attempt has just died.
    now = time.monotonic() + 2 * recycling.LEFT_BEHIND_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: now)
    server.state["frames"] = ["job_2_r1_train"]
    assert not recycler.take_down()
    monkeypatch.setattr(time, "monotonic", lambda: 2 * now)
    assert recycler.take_down()


def test_one_that_does_not_answer_is_left_to_the_watch(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("gone")

    server = Server()
    monkeypatch.setattr(Server, "_handle", staticmethod(refuse))
    assert not Recycler(layout, server.door, MOST).take_down()
    assert layout.cluster_file.exists()
