"""The changed rows that models are asked about, and what is made of their answers."""

import csv
import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from tasks.contracts import LeaderboardEntry
from tests.unit.h2o.fake_client import Answer, FakeClient, h2o_job
from workers.runtimes.h2o_automl import changed_rows, test_frame, what_if
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
    assert what_if.points_of(feature, values) == points


def test_of_many_levels_the_most_frequent_are_points() -> None:
    levels = tuple(f"town {n:02}" for n in range(40))
    values = [level for n, level in enumerate(levels) for _ in range(n)]
    assert what_if.points_of(Column("town", "enum", levels), values) == list(levels[-what_if.MOST_LEVELS :])


def test_many_numbers_are_spread_evenly() -> None:
    points = what_if.points_of(SIZE, list(map(str, range(100))))
    assert len(points) == what_if.POINTS
    assert (float(points[0]), float(points[-1])) == (0, 99)


@pytest.mark.parametrize(("columns", "most"), [(2, 50), (500, 10), (5001, 1)])
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
    assert frame.values(["b", "a"], tmp_path)[:2] == [["x", "0"], ["x", "1"]]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_value_alone_in_its_row_is_one(tmp_path: Path) -> None:
    frame = frame_of({}, client=FakeClient({"GET /3/DownloadDataset": lambda: b"predict\n1\n\n3\n"}))
    assert frame.values(["predict"], tmp_path) == [["1"], [""], ["3"]]
    assert frame.rows_of("key", tmp_path)[1] == {"predict": ""}


def test_models_are_asked_before_the_first_is_waited_for(tmp_path: Path) -> None:
    frames = [b"predict,no,p1\nno,0.75,0.25\n", b"predict,no,p1\n1,0.5,0.5\n"]
    answers: dict[str, Answer] = {"GET /3/DownloadDataset": lambda: frames.pop(0)}
    for place, model in enumerate(("GBM", "GLM")):
        job = h2o_job(f"job{place}", "DONE")
        answers |= {
            f"POST /4/Predictions/models/{model}/frames/rows": lambda job=job: job,
            f"GET /3/Jobs/job{place}": lambda job=job: {"jobs": [job]},
            f"DELETE /3/DKV/rows_predicted_{place}": lambda: None,
        }
    client = FakeClient(answers)
    found = frame_of({}, client=client).predicted(["GBM", "GLM"], "rows", [None, "1", "no"], tmp_path)
    assert found == [[["no", "0.25", "0.75"]], [["1", "0.5", "0.5"]]]
    assert [call.split()[0] for call in client.asked] == ["POST", "POST", *["GET"] * 4, "DELETE", "DELETE"]


def frame_of(columns: dict[str, Column], rows: int = 100, client: FakeClient | None = None) -> test_frame.TestFrame:
    keys = RunKeys("0" * 32, 1)
    return test_frame.TestFrame((client or FakeClient({})).as_client, keys, "test", "test", rows, columns)


def test_only_the_feature_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    given = rows("7", "8")
    changed = what_if.changed(given, [SIZE, COLOUR], [["1.0", "2.0"], ["blue"]])
    changed_rows.write_rows(path, changed, [SIZE, COLOUR])
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
    assert test_frame.class_column(columns, label) == column


@pytest.fixture
def answers() -> Answers:
    """Two models, three features, two points, four rows, two classes of which the second is shown."""
    responses = np.arange(2 * 3 * 2 * 4, dtype=np.float64).reshape(2, 3, 2, 4)
    points = [["1.0", "2.0"], ["red", "blue"], ["0", "86400000"]]
    classes = np.stack([-responses, responses], axis=-1)
    return Answers(["GBM_1", "GLM_1"], [SIZE, COLOUR, WHEN], points, ["no", "yes"], 1, classes)


def test_tables(answers: Answers) -> None:
    table = what_if.models_table(answers, 1)
    assert (list(table.columns), table.rows) == (
        ["colour, quoted", "GBM_1", "GLM_1"],
        [["red", 9.5, 33.5], ["blue", 13.5, 37.5]],
    )
    assert what_if.ice_table(answers, 0).rows[:3] == [[0, 1.0, 0.0], [0, 2.0, 4.0], [1, 1.0, 1.0]]
    spread = [pytest.approx(1.25**0.5), pytest.approx(1.25**0.5 / 2)]
    assert what_if.dependence_table(answers, 2).rows == [
        ["no", "1970-01-01T00:00:00+00:00", -17.5, *spread],
        ["no", "1970-01-02T00:00:00+00:00", -21.5, *spread],
        ["yes", "1970-01-01T00:00:00+00:00", 17.5, *spread],
        ["yes", "1970-01-02T00:00:00+00:00", 21.5, *spread],
    ]


def test_of_many_rows_some_are_lines(answers: Answers) -> None:
    many = dataclasses.replace(answers, responses=np.zeros((1, 3, 2, 100, 2)))
    assert what_if.ice_table(many, 0).note.startswith("What GBM_1 predicts for each of 34 test rows")


def test_pictures(answers: Answers) -> None:
    for place in range(3):
        assert draw_ice(answers, place, "price").startswith(b"\x89PNG")
        assert draw_models(answers, place, "price").startswith(b"\x89PNG")


def test_answers_are_put_where_they_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model adds up what it is given, so each answer tells its row, feature and point."""
    sizes, weights = Column("size", "int", ()), Column("weight", "int", ())
    given = [{"size": "1", "weight": "10"}, {"size": "2", "weight": "30"}, {"size": "1", "weight": "20"}]
    frame = frame_of({"size": sizes, "weight": weights, "y": Column("y", "int", ())}, rows=3)
    monkeypatch.setattr(type(frame), "rows_of", lambda *_, **__: given)
    monkeypatch.setattr(type(frame), "values", lambda _self, names, _: [[row[name] for name in names] for row in given])

    def predict(
        _frame: object, _role: str, changed: Iterable[dict[str, str]], _columns: object, models: list[str], *_: object
    ) -> np.ndarray:  # type: ignore[type-arg]
        sums = [float(row["size"]) + float(row["weight"]) for row in changed]
        return np.array([[[factor * total] for total in sums] for factor in range(1, len(models) + 1)])

    monkeypatch.setattr(what_if, "predict_rows", predict)
    entries = [LeaderboardEntry(model_id=f"GBM_{n}", algo="GBM", metrics={}) for n in range(2)]
    found = what_if.ask(frame, [sizes, weights], entries, "y", [None], 0, tmp_path)
    assert found.points == [["1.0", "2.0"], ["10.0", "20.0", "30.0"]]
    assert found.lines(0).tolist() == [[11, 31, 21], [12, 32, 22]]
    assert found.lines(1).tolist() == [[11, 12, 11], [21, 22, 21], [31, 32, 31]]
    assert found.means(0).tolist() == [[21, 22], [42, 44]]
    assert what_if.dependence_table(found, 0).rows[0][:3] == [None, 1.0, 21.0]
