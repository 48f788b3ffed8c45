"""The benchmark of faults, in short: nothing is lost, nothing is committed twice, and every extra run is a fault's."""

from pathlib import Path

import pytest

from bench.chaos.engagement import Orders, engage
from bench.chaos.reckoning import Reckoning
from bench.chaos.turnout_side import TurnoutSide

SQLITE = ["kill_runner", "kill_worker", "reset", "kill_api", "kill_redis", "kill_runner", "flush_redis"]
INFERENCE = ["kill_runner", "kill_worker", "flush_redis"]
POSTGRESQL = ["kill_runner", "stop_worker", "kill_database", "deaf", "kill_database", "kill_runner"]


@pytest.mark.parametrize(("postgres", "faults"), [(False, SQLITE), (True, POSTGRESQL)], ids=["sqlite", "postgresql"])
def test_nothing_is_lost_and_nothing_done_twice(postgres: bool, faults: list[str], tmp_path: Path) -> None:
    orders = Orders(jobs=800, seconds=20, seed=1, postgres=postgres, faults=faults, eaters=False, long_seconds=12)
    found = engage(TurnoutSide, orders, tmp_path).reckoning
    assert found.accepted == 800
    require_clean(found)
    assert found.faults.total() >= len(faults)


def test_nor_are_inference_jobs_that_share_runners_and_batches(tmp_path: Path) -> None:
    orders = Orders(jobs=120, seconds=10, seed=1, postgres=False, faults=INFERENCE, eaters=False, stream="inference")
    found = engage(TurnoutSide, orders, tmp_path).reckoning
    assert found.accepted == 120
    assert found.in_company
    assert found.extra["job that ends its runner"]
    require_clean(found)


def require_clean(found: Reckoning) -> None:
    assert (found.lost, found.waiting, found.twice) == ([], [], [])
    assert found.unexplained == []
    assert found.contradictions == []
    assert found.trouble == []
    assert found.is_clean
