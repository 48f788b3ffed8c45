"""The rate of workers is counted while jobs wait, and only then."""

import pytest

from bench.scaling import steady_rate


def test_neither_the_start_nor_the_end_counts() -> None:
    # From the third second to the last start, 20 s after the first, one ends each half second; then none does for long.
    steady = [(max(0.0, at / 2 - 4), at / 2) for at in range(7, 49)]
    late = [(20.0, 100.0 + number) for number in range(30)]
    assert steady_rate([(0.0, 0.5), *steady, *late], settling_seconds=3.0) == pytest.approx(2.0, rel=0.02)


def test_too_few_jobs_say_nothing() -> None:
    with pytest.raises(ValueError, match="submit more"):
        steady_rate([(0.0, 1.0), (2.0, 3.0)], settling_seconds=3.0)
