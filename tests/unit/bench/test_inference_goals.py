"""What the columns of bench.inference are held against."""

import pytest

from bench.inference_parts.goals import goals
from bench.inference_parts.measured import Measured, percentile


def rates(**columns: float) -> dict[str, list[Measured]]:
    return {column: [Measured(value)] for column, value in columns.items()}


def verdicts(found: dict[str, list[Measured]]) -> dict[str, bool | None]:
    return {goal.what: goal.reached for goal in goals(found)}


def test_shares_of_the_libraries() -> None:
    assert verdicts(rates(a=100, b=90, c=60, f=50, g=45)) == {"b of a": True, "c of a": True, "g of f": True}
    assert verdicts(rates(a=100, b=89, c=59, f=50, g=44)) == {"b of a": False, "c of a": False, "g of f": False}


def test_single_jobs_are_asked_for_no_share_of_a_fast_library() -> None:
    assert verdicts(rates(a=200, c=10)) == {"c of a": None}
    assert "longer texts" in goals(rates(a=200, c=10))[0].got


def test_single_jobs_are_compared_with_what_gets_one_input_at_a_time() -> None:
    assert verdicts(rates(b=70, c=60, d=50, d256=65, e=60)) == {
        "b to d": True,
        "b to d256": True,
        "b to e": True,
        "c to d": True,
        "c to e": False,
    }


def test_the_rounds_median_counts() -> None:
    found = {"a": [Measured(rate) for rate in (100, 1000, 100)], "b": [Measured(rate) for rate in (95, 5, 95)]}
    assert verdicts(found) == {"b of a": True}


@pytest.mark.parametrize(("slowest", "reached"), [(32.0, True), (32.1, False)])
def test_the_latency_at_half_load(slowest: float, reached: bool) -> None:
    one = Measured(10, millis=[10.0] * 94 + [slowest] * 6, figures={"own_ms": 10.0})
    assert verdicts({"latency": [one]}) == {"p95 of single jobs at half load": reached}


@pytest.mark.parametrize(
    ("changes", "second", "whole"),
    [({}, True, True), ({"second_loads": 1, "second_hits": 0}, False, True), ({"loads": 3}, True, False)],
)
def test_loads(changes: dict[str, float], second: bool, whole: bool) -> None:
    figures = {
        "first_load_seconds": 3.0,
        "second_load_seconds": 0.0,
        "second_loads": 0,
        "second_hits": 1,
        "jobs": 100,
        "loads": 2,
        "runners": 2,
    }
    found = {"loads": [Measured(0, figures=figures | changes)]}
    assert verdicts(found) == {"what a model's second use loads": second, "loads of all jobs": whole}


def test_columns_that_were_not_measured_have_no_goals() -> None:
    assert verdicts(rates(b=10, g=10)) == {}


def test_percentiles() -> None:
    assert [percentile([3.0, 1.0, 2.0], share) for share in (0.0, 0.5, 0.95, 1.0)] == [1.0, 2.0, 3.0, 3.0]
