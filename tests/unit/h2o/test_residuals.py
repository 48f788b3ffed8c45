"""Where a regression is wrong: groups of rows, and what is said of them."""

from pathlib import Path

import numpy as np
import pytest

from tests.unit.h2o.test_what_if import COLOUR, SIZE, WHEN
from workers.runtimes.h2o_automl import test_frame
from workers.runtimes.h2o_automl.pictures.residuals import draw_distribution, draw_groups, draw_residuals
from workers.runtimes.h2o_automl.residuals import (
    PREDICTION,
    Residuals,
    distribution_table,
    explained_share,
    group_rows,
    groups_table,
    residuals,
    residuals_table,
)
from workers.runtimes.h2o_automl.test_frame import Column


def names(column: Column, values: list[str]) -> list[tuple[str, int]]:
    return [(name, len(rows)) for name, rows in group_rows(column, values)]


def test_numbers_are_grouped_by_quantiles() -> None:
    found = group_rows(SIZE, [str(n) for n in range(80)])
    assert [len(rows) for _name, rows in found] == [10] * 8
    assert found[0][0] == "0 to 9"
    assert sorted(np.concatenate([rows for _name, rows in found])) == list(range(80))


@pytest.mark.parametrize(
    ("column", "values", "groups"),
    [
        (SIZE, ["1", "2", "1", ""], [("1", 2), ("2", 1), ("(missing)", 1)]),
        (SIZE, ["", ""], [("(missing)", 2)]),
        (SIZE, ["5"] * 90 + [str(n) for n in range(10, 20)], [("5", 90), ("10 to 19", 10)]),
        (WHEN, ["0", "86400000"], [("1970-01-01", 1), ("1970-01-02", 1)]),
        (COLOUR, ["red", "blue", "red", ""], [("red", 2), ("blue", 1), ("(missing)", 1)]),
        (COLOUR, [f"c{n}" for n in range(9)] + ["c8"], [("c8", 2), *((f"c{n}", 1) for n in range(6)), ("(others)", 2)]),
    ],
)
def test_groups_of_few_values(column: Column, values: list[str], groups: list[tuple[str, int]]) -> None:
    assert names(column, values) == groups


def test_a_feature_that_tells_the_errors_apart_explains_them() -> None:
    residual = np.array([1.0, 1.0, -1.0, -1.0])
    assert explained_share(residual, [np.array([0, 1]), np.array([2, 3])]) == 1
    assert explained_share(residual, [np.array([0, 2]), np.array([1, 3])]) == 0
    assert explained_share(np.zeros(4), [np.arange(4)]) == 0


@pytest.fixture
def found() -> Residuals:
    """The model is 2 too low for red rows and 2 too high for blue ones; size says nothing."""
    actual = np.arange(40, dtype=np.float64)
    colours = ["red" if n % 2 else "blue" for n in range(40)]
    predicted = actual + np.where(np.arange(40) % 2, -2, 2)
    return Residuals(actual, predicted, [SIZE, COLOUR], [[str(n // 2 % 4) for n in range(40)], colours])


def test_the_features_that_matter_come_first(found: Residuals) -> None:
    rows = groups_table(found).rows
    assert list(dict.fromkeys(row[0] for row in rows)) == [PREDICTION, COLOUR.name, SIZE.name]
    by_colour = {row[1]: row for row in rows if row[0] == COLOUR.name}
    # rows, mean, mean absolute, and five quantiles
    assert by_colour["red"][2:] == [20, 2, 2, 2, 2, 2, 2, 2]
    assert by_colour["blue"][2:] == [20, -2, 2, -2, -2, -2, -2, -2]


def test_the_distribution_stands_beside_a_normal_one(found: Residuals) -> None:
    table = distribution_table(found)
    assert table.note.startswith("mean 0, standard deviation 2, mean absolute residual 2,")
    assert len(table.rows) == 99
    assert table.rows[49] == [0.5, pytest.approx(0), pytest.approx(0)]
    assert table.rows[97][2] == pytest.approx(2 * 2.0537, abs=1e-3)
    perfect = Residuals(found.actual, found.actual, [], [])
    assert {tuple(row[1:]) for row in distribution_table(perfect).rows} == {(0, 0)}


def test_pictures(found: Residuals) -> None:
    for residual in (found, Residuals(found.actual[:1], found.actual[:1], [SIZE], [["1"]])):
        assert draw_residuals(residuals_table(residual), "GBM_1", "price").startswith(b"\x89PNG")
        assert draw_distribution(distribution_table(residual), residual.residual, "GBM_1").startswith(b"\x89PNG")
        assert draw_groups(groups_table(residual), "GBM_1").startswith(b"\x89PNG")


def test_rows_without_a_target_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_frame.TestFrame, "values", lambda *_: [["1", "7"], ["", "8"], ["3", ""]])
    monkeypatch.setattr(test_frame.TestFrame, "predictions", lambda *_: [["0.5", "2", "5"]])
    frame = test_frame.TestFrame(None, None, "test", "test", 3, {})  # type: ignore[arg-type]
    read = residuals(frame, "GBM_1", "y", [SIZE], tmp_path)
    assert residuals_table(read).rows == [[1, 0.5, 0.5], [3, 5, -2]]
    assert read.values == [["7", ""]]
