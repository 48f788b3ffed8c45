"""A cluster of two nodes that somebody else runs, by its address."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tasks.errors import ClusterLost
from tests.contract.h2o.conftest import long_spec, quick_spec, train
from tests.contract.h2o.keeper_process import free_ports, wait_until
from tests.fakes.job_context import FakeJobContext
from workers.h2o_keeper import jvm
from workers.h2o_keeper.jvm import JvmSettings
from workers.h2o_keeper.layout import Layout
from workers.runtimes.h2o_automl import create

PASSWORD = "of-the-cluster"  # noqa: S105


class Cluster:
    """Two nodes and nobody who minds them."""

    def __init__(self, directory: Path) -> None:
        self._settings = JvmSettings(free_ports(4), 1024, ("-XX:TieredStopAtLevel=1",), nodes=2)
        self._layout = Layout(directory)
        self.nodes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._settings.port}"

    @property
    def settings(self) -> dict[str, str]:
        return {"url": self.url, "user": jvm.USER, "password": PASSWORD}

    def start(self) -> None:
        self.nodes = jvm.start(self._settings, self._layout, PASSWORD)
        wait_until(self._is_whole, "both nodes found each other", 120)

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()
        for node in self.nodes:
            node.wait()

    def _is_whole(self) -> bool:
        try:
            answer = httpx.get(f"{self.url}/3/Cloud", auth=(jvm.USER, PASSWORD))
        except httpx.TransportError:
            return False
        return answer.status_code == 200 and answer.json()["cloud_size"] == 2


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "cluster")
    try:
        made.start()
        yield made
    finally:
        made.kill()


def test_a_lost_node_is_said_and_the_job_goes_on_once_all_were_restarted(
    cluster: Cluster, tables: dict[str, Path], tmp_path: Path
) -> None:
    h2o = create(dict(cluster.settings))
    job = FakeJobContext(tmp_path / "one", tables)
    job.on_leaderboard = lambda _board: cluster.nodes[1].kill()
    with pytest.raises(ClusterLost, match=r"lost .*; restart all its nodes"):
        train(long_spec(), job, h2o)
    assert job.saved_checkpoint is not None

    again = FakeJobContext(tmp_path / "two", tables, attempt=2, saved_checkpoint=job.saved_checkpoint)
    again.earlier_artifacts = {name: path for name, (path, _) in job.artifacts.items()}
    ended: list[int] = []
    waiting = threading.Thread(target=lambda: ended.append(train(quick_spec(), again, h2o).runs))
    waiting.start()
    wait_until(lambda: _says(again, "restart all its nodes"), "the job said what it waits for", 120)
    cluster.kill()
    cluster.start()
    waiting.join(120)
    assert ended == [2]
    assert again.saved_checkpoint is not None
    h2o.clean_up(again.saved_checkpoint)


def _says(job: FakeJobContext, words: str) -> bool:
    return any(words in message for _, message, _ in job.reports)
