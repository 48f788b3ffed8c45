"""The keeper: who dies with whom, and what replaces it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import ClusterLost
from tests.contract.h2o.conftest import long_spec, quick_spec, train
from tests.contract.h2o.keeper_process import QUICK, KeeperProcess, environment, free_port_pair, wait_until
from tests.fakes.job_context import FakeJobContext
from tests.processes import pid_lives
from workers.h2o_keeper.cloud import Door, HealthWatch
from workers.runtimes.h2o_automl import create


@pytest.fixture
def own_keeper(tmp_path: Path) -> Iterator[KeeperProcess]:
    """A keeper that a test may do anything to."""
    started = KeeperProcess(tmp_path / "a home, é", free_port_pair(), "512m", QUICK)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.stop()


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-P", "-m", "workers.h2o_keeper", "--home", str(tmp_path), "--port", str(port)]
        ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stderr.strip() == (
        f"Port {port} is taken by another program; H2O needs {port} to {port + 1}: choose others with --port."
    )


def test_two_keepers_dont_share_a_home(keeper: KeeperProcess) -> None:
    command = [sys.executable, "-P", "-m", "workers.h2o_keeper", "--home", str(keeper.home), "--port", "1024"]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "already runs" in ended.stderr
    assert keeper.cluster_file.exists()


def test_a_killed_jvm_is_replaced_and_its_training_runs_again(
    own_keeper: KeeperProcess, tables: dict[str, Path], tmp_path: Path
) -> None:
    first = own_keeper.await_cluster()
    h2o = create({"cluster_file": str(own_keeper.cluster_file)})
    job = FakeJobContext(tmp_path / "one", tables)
    job.on_leaderboard = lambda _board: os.kill(first["pids"][0], signal.SIGKILL)
    with pytest.raises(ClusterLost):
        train(long_spec(), job, h2o)

    own_keeper.await_cluster(first["cluster_id"])
    again = FakeJobContext(tmp_path / "two", tables, attempt=2, saved_checkpoint=job.saved_checkpoint)
    assert train(quick_spec(), again, h2o).runs == 2
    second = own_keeper.cluster()
    assert second["cluster_id"] != first["cluster_id"]
    assert second["password"] != first["password"]

    assert own_keeper.stop() == 0
    assert not pid_lives(second["pids"][0])
    assert not own_keeper.cluster_file.exists()


def test_the_jvm_dies_with_a_killed_keeper(own_keeper: KeeperProcess) -> None:
    first = own_keeper.await_cluster()
    (jvm,) = first["pids"]
    own_keeper.process.kill()
    own_keeper.process.wait()
    wait_until(lambda: not pid_lives(jvm), "the JVM had died with its keeper")
    after = KeeperProcess(own_keeper.home, own_keeper.port, "512m")
    try:
        assert after.await_cluster(first["cluster_id"])["pids"] != [jvm]
    finally:
        after.stop()


def test_a_jvm_that_hangs_is_noticed(own_keeper: KeeperProcess) -> None:
    found = own_keeper.await_cluster()
    (pid,) = found["pids"]
    watch = HealthWatch(Door(found["url"], found["user"], found["password"]), patience_seconds=3)
    watch.start()
    try:
        assert not watch.hangs()
        os.kill(pid, signal.SIGSTOP)
        wait_until(watch.hangs, "the watch noticed")
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: not watch.hangs(), "the watch heard an answer again")
    finally:
        watch.stop()


def test_what_the_last_jvm_said_is_kept(own_keeper: KeeperProcess) -> None:
    os.kill(own_keeper.await_cluster()["pids"][0], signal.SIGKILL)
    wait_until((own_keeper.home / "h2o" / "jvm.log.1").exists, "the old log was kept")
