"""The benchmark of faults, in short: nothing is lost, nothing is committed twice, and every extra run is a fault's."""

from pathlib import Path

import pytest

from bench.chaos.engagement import Orders, engage
from bench.chaos.turnout_side import TurnoutSide

SQLITE = ["kill_runner", "kill_worker", "reset", "kill_api", "kill_redis", "kill_runner", "flush_redis"]
POSTGRESQL = ["kill_runner", "stop_worker", "kill_database", "deaf", "kill_database", "kill_runner"]


@pytest.mark.parametrize(("postgres", "faults"), [(False, SQLITE), (True, POSTGRESQL)], ids=["sqlite", "postgresql"])
def test_nothing_is_lost_and_nothing_done_twice(postgres: bool, faults: list[str], tmp_path: Path) -> None:
    orders = Orders(jobs=800, seconds=20, seed=1, postgres=postgres, faults=faults, eaters=False, long_seconds=12)
    found = engage(TurnoutSide, orders, tmp_path).reckoning
    assert found.accepted == 800
    assert (found.lost, found.waiting, found.twice) == ([], [], [])
    assert found.unexplained == []
    assert found.contradictions == []
    assert found.trouble == []
    assert found.faults.total() >= len(faults)
    assert found.is_clean
