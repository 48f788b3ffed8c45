"""A cluster of two nodes that the keeper owns."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from tasks.errors import ClusterLost
from tests.contract.h2o.conftest import left_in, long_spec, quick_spec, train
from tests.contract.h2o.keeper_process import QUICK, KeeperProcess, free_ports, listening
from tests.fakes.job_context import FakeJobContext
from tests.processes import pid_lives
from workers.runtimes.h2o_automl import create
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.connection import KeptCluster


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeeperProcess]:
    started = KeeperProcess(tmp_path_factory.mktemp("pair"), free_ports(4), "1g", "--nodes=2", QUICK)
    try:
        started.await_cluster()
        yield started
    finally:
        started.stop()


def test_it_is_announced_once_both_are_in_it(pair: KeeperProcess) -> None:
    cluster = pair.cluster()
    cloud = httpx.get(cluster["url"] + "/3/Cloud", auth=(cluster["user"], cluster["password"])).json()
    assert (cloud["cloud_size"], cloud["cloud_healthy"], cloud["consensus"]) == (2, True, True)
    assert sorted(node["pid"] for node in cloud["nodes"]) == sorted(pair.pids())
    assert {node["max_mem"] >> 20 for node in cloud["nodes"]} <= set(range(480, 520))
    for number, pid in enumerate(pair.pids()):
        port = pair.port + 2 * number
        assert listening(psutil.Process(pid)) == {("127.0.0.1", port), ("127.0.0.1", port + 1)}


def test_a_killed_node_ends_the_cluster_and_the_training_runs_again_on_the_next(
    pair: KeeperProcess, tables: dict[str, Path], tmp_path: Path
) -> None:
    first = pair.cluster()
    h2o = create({"cluster_file": str(pair.cluster_file)})
    job = FakeJobContext(tmp_path / "one", tables)
    job.on_leaderboard = lambda _board: os.kill(first["pids"][1], signal.SIGKILL)
    with pytest.raises(ClusterLost):
        train(long_spec(), job, h2o)

    second = pair.await_cluster(first["cluster_id"])
    assert not [pid for pid in first["pids"] if pid_lives(pid)]
    # The same rows, as H2O reads them in parallel.
    circle = tmp_path / "circle.parquet"
    pq.write_table(csv.read_csv(tables["circle"]), circle)
    again = FakeJobContext(tmp_path / "two", {"circle": circle}, attempt=2, saved_checkpoint=job.saved_checkpoint)
    again.earlier_artifacts = {name: path for name, (path, _) in job.artifacts.items()}
    several = quick_spec(include_algos=["GLM", "GBM", "XGBoost"], max_models=3, explain=True)
    result = train(several, again, h2o)
    assert result.runs == 2
    assert {entry.algo for entry in again.boards[-1].entries} == {"GLM", "GBM", "XGBoost"}
    assert sum(result.rows.values()) == 1000
    assert result.explanation_missing == []

    assert again.saved_checkpoint is not None
    h2o.clean_up(again.saved_checkpoint)
    client = H2OClient(KeptCluster(pair.cluster_file), lambda: None)
    try:
        assert client.cluster_id == second["cluster_id"]
        assert left_in(client) == []
    finally:
        client.close()
