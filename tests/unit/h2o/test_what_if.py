"""The changed rows that models are asked about, and what is made of their answers."""

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.unit.h2o.fake_client import FakeClient
from workers.runtimes.h2o_automl import test_frame, what_if
from workers.runtimes.h2o_automl.keys import RunKeys
from workers.runtimes.h2o_automl.pictures.what_if import draw_ice, draw_models
from workers.runtimes.h2o_automl.test_frame import Column
from workers.runtimes.h2o_automl.what_if import Answers

SIZE = Column("size", "real", ())
COLOUR = Column("colour, quoted", "enum", ("red", "green", "blue"))
WHEN = Column("when", "time", ())


def rows(*values: str, name: str = "size") -> list[dict[str, str]]:
    return [{"size": "1", "colour, quoted": "red", "when": "0", name: value} for value in values]


@pytest.mark.parametrize(
    ("feature", "values", "points"),
    [
        (SIZE, ["3", "1", "", "1"], ["1.0", "3.0"]),
        (SIZE, ["", ""], ["0"]),
        (COLOUR, ["blue", "red", "", "red"], ["red", "blue"]),
        (COLOUR, ["", ""], ["red"]),
        (WHEN, ["1767225600000", "0"], ["0", "1767225600000"]),
    ],
)
def test_points_are_values_of_the_rows(feature: Column, values: list[str], points: list[str]) -> None:
    assert what_if._points(feature, rows(*values, name=feature.name)) == points


def test_many_numbers_are_spread_evenly() -> None:
    points = what_if._points(SIZE, rows(*map(str, range(100))))
    assert len(points) == what_if.POINTS
    assert (float(points[0]), float(points[-1])) == (0, 99)


@pytest.mark.parametrize(("columns", "most"), [(2, 20), (500, 6), (5000, 0)])
def test_a_wide_table_is_asked_about_fewer_features(columns: int, most: int) -> None:
    frame = frame_of(
        {f"x{n}": Column(f"x{n}", "real", ()) for n in range(columns)} | {"y": Column("y", "enum", ("a",))}
    )
    assert what_if.most_features(frame, "y") == most


@pytest.mark.parametrize(("rows", "step"), [(10, 1), (40, 1), (41, 2), (5000, 125)])
def test_rows_are_spread_evenly(rows: int, step: int) -> None:
    assert frame_of({}, rows).step_for(40) == step


def test_a_frame_is_read_row_by_row(tmp_path: Path) -> None:
    path = "GET /3/DownloadDataset"
    frame = frame_of({}, client=FakeClient({path: lambda: b"a,b\n" + b"".join(b"%d,x\n" % n for n in range(10))}))
    assert [row["a"] for row in frame.rows_of("key", tmp_path, every=4)] == ["0", "4", "8"]
    assert frame.values("b", tmp_path) == ["x"] * 10
    assert list(tmp_path.iterdir()) == []


def frame_of(columns: dict[str, Column], rows: int = 100, client: FakeClient | None = None) -> test_frame.TestFrame:
    keys = RunKeys("0" * 32, 1)
    return test_frame.TestFrame((client or FakeClient({})).as_client, keys, "test", "test", rows, columns)


def test_only_the_feature_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    given = rows("7", "8")
    what_if._write(path, [SIZE, COLOUR], given, [SIZE, COLOUR], [["1.0", "2.0"], ["blue"]])
    with path.open(newline="") as file:
        written = [tuple(row) for row in csv.reader(file)]
    assert written == [
        ("size", "colour, quoted"),
        *(("1.0", "red"), ("1.0", "red"), ("2.0", "red"), ("2.0", "red")),
        *(("7", "blue"), ("8", "blue")),
    ]


@pytest.mark.parametrize(
    ("columns", "label", "column"), [(["predict", "p0", "p1"], "1", "p1"), (["predict", "no"], "no", "no")]
)
def test_a_class_is_found_by_h2os_name_for_it(columns: list[str], label: str, column: str) -> None:
    assert what_if._class_column(dict.fromkeys(columns, ""), label) == column


def test_tables_and_pictures() -> None:
    responses = np.arange(2 * 3 * 2 * 4, dtype=np.float64).reshape(2, 3, 2, 4)
    points = [["1.0", "2.0"], ["red", "blue"], ["0", "86400000"]]
    answers = Answers(["GBM_1", "GLM_1"], [SIZE, COLOUR, WHEN], points, responses)
    table = what_if.models_table(answers, 1)
    assert (list(table.columns), table.rows) == (
        ["colour, quoted", "GBM_1", "GLM_1"],
        [["red", 9.5, 33.5], ["blue", 13.5, 37.5]],
    )
    assert what_if.ice_table(answers, 0).rows[:3] == [[0, 1.0, 0.0], [0, 2.0, 4.0], [1, 1.0, 1.0]]
    for place in range(3):
        assert draw_ice(answers, place, "price").startswith(b"\x89PNG")
        assert draw_models(answers, place, "price").startswith(b"\x89PNG")
