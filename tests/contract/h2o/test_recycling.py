"""A cluster that leaked is replaced, while nobody uses it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.h2o.conftest import quick_spec, train
from tests.contract.h2o.keeper_process import QUICK, KeeperProcess, free_port_pair, wait_until
from tests.fakes.job_context import FakeJobContext
from workers.runtimes.h2o_automl import create

# One model leaves more than this.
FEW = "--recycle-after=10"


@pytest.fixture
def leaking(tmp_path: Path) -> Iterator[KeeperProcess]:
    started = KeeperProcess(tmp_path / "home", free_port_pair(), "512m", FEW, QUICK)
    try:
        started.await_cluster()
        yield started
    finally:
        started.stop()


def test_it_is_replaced_when_idle_and_jobs_wait_for_the_next(
    leaking: KeeperProcess, tables: dict[str, Path], tmp_path: Path
) -> None:
    first = leaking.cluster()["cluster_id"]
    h2o = create({"cluster_file": str(leaking.cluster_file)})
    job = FakeJobContext(tmp_path / "one", tables)
    train(quick_spec(include_algos=["GLM", "GBM"], max_models=2), job, h2o)
    assert job.saved_checkpoint is not None
    # It has ended, and yet what it left would be missed.
    assert leaking.cluster()["cluster_id"] == first
    h2o.clean_up(job.saved_checkpoint)
    wait_until(lambda: not leaking.cluster_file.exists(), "the cluster was withdrawn")
    # It begins while there is no cluster, and its first attempt is the one that succeeds.
    after = FakeJobContext(tmp_path / "two", tables, job_id="2" * 32)
    assert train(quick_spec(), after, h2o).runs == 1
    assert any("Waiting for the H2O cluster" in message for _, message, _ in after.reports)
    assert leaking.cluster()["cluster_id"] != first
    assert "h2o_recycled" in leaking.errors
