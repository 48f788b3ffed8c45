"""What the explanation's newer parts make of H2O's answers."""

import re

import numpy as np
import pytest

from tasks.contracts import LeaderboardEntry
from tests.unit.h2o.fake_client import FakeClient
from workers.runtimes.h2o_automl.leader_curves import confusion_by_threshold, curve_points, gains_lift
from workers.runtimes.h2o_automl.learning_curve import history_table, learning_curve
from workers.runtimes.h2o_automl.pareto_front import on_front, pareto_front
from workers.runtimes.h2o_automl.pictures.leader import (
    draw_gains,
    draw_learning,
    draw_pareto,
    draw_precision_recall,
    draw_thresholds,
)
from workers.runtimes.h2o_automl.report import Picture, Summary, report, shown
from workers.runtimes.h2o_automl.tables import Table

PNG = b"\x89PNG"


def h2o_table(**columns: list[object]) -> dict[str, object]:
    return {"columns": [{"name": name} for name in columns], "data": list(columns.values())}


def entry(model_id: str, algo: str) -> LeaderboardEntry:
    return LeaderboardEntry(model_id=model_id, algo=algo, metrics={})


def test_without_thresholds_there_are_no_curves() -> None:
    assert curve_points(None) is confusion_by_threshold(None) is gains_lift(None) is None
    assert gains_lift(h2o_table()) is None


@pytest.mark.parametrize(
    ("history", "columns"),
    [
        (
            [
                {"number_of_trees": n, "training_rmse": 1.0, "training_logloss": 0.5, "validation_logloss": 0.6}
                for n in (0, 5)
            ],
            ["number_of_trees", "training_logloss", "validation_logloss"],
        ),
        ([{"epochs": n, "training_deviance": 3.0} for n in (0, 1)], ["epochs", "training_deviance"]),
        ([{"iterations": n, "objective": 3.0} for n in (0, 1)], ["iterations", "training_objective"]),
    ],
)
def test_histories_of_every_sort(history: list[dict[str, float]], columns: list[str]) -> None:
    table = history_table(history, "GBM_1")
    assert table is not None
    assert list(table.columns) == columns
    assert len(table.rows) == 2
    assert draw_learning(table, "GBM_1").startswith(PNG)


@pytest.mark.parametrize(
    "history",
    [
        [],
        [{"number_of_trees": 1, "training_rmse": 1.0}],
        [{"number_of_trees": 0, "training_rmse": "NaN"}, {"number_of_trees": 1, "training_rmse": 1.0}],
        [{"lambda": 1, "training_rmse": 1.0}] * 2,
        [{"epochs": 1, "samples": 1.0}] * 2,
    ],
)
def test_a_history_without_a_curve(history: list[dict[str, object]]) -> None:
    assert history_table(history, "GBM_1") is None


def test_the_learning_curve_is_the_best_models_that_has_one() -> None:
    history = h2o_table(number_of_trees=[0, 1], training_rmse=[2.0, 1.0])
    client = FakeClient(
        {
            "GET /3/Models/SE": lambda: {"models": [{"output": {"scoring_history": None}}]},
            "GET /3/Models/GBM": lambda: {"models": [{"output": {"scoring_history": history}}]},
        }
    )
    entries = [entry("SE", "StackedEnsemble"), entry("GBM", "GBM")]
    found = learning_curve(client.as_client, entries)
    assert found is not None
    assert (found[1], found[0].rows) == ("GBM", [[0, 2.0], [1, 1.0]])
    assert learning_curve(client.as_client, entries[:1]) is None


@pytest.mark.parametrize(
    ("points", "higher", "front"),
    [
        ([(0.9, 2.0), (0.8, 1.0), (0.7, 3.0)], True, [True, True, False]),
        ([(0.9, 2.0), (0.8, 1.0), (0.7, 3.0)], False, [False, True, True]),
        ([(0.9, 1.0), (0.9, 1.0)], True, [True, True]),
        ([(0.9, 1.0), (0.9, 2.0)], True, [True, False]),
    ],
)
def test_the_front(points: list[tuple[float, float]], higher: bool, front: list[bool]) -> None:
    assert on_front(points, higher=higher) == front


def test_a_pareto_front_needs_two_models() -> None:
    def client(**columns: list[object]) -> FakeClient:
        return FakeClient({"GET /99/Leaderboards/key%40%40y": lambda: {"table": h2o_table(**columns)}})

    two = client(model_id=["GBM_1", "GLM_1"], rmse=[1.0, 2.0], predict_time_per_row_ms=[0.2, 0.1])
    table = pareto_front(two.as_client, "key@@y", "rmse")
    assert table is not None
    assert [row[4] for row in table.rows] == [True, True]
    assert draw_pareto(table).startswith(PNG)
    one = client(model_id=["GBM_1"], rmse=[1.0], predict_time_per_row_ms=[0.2])
    assert pareto_front(one.as_client, "key@@y", "rmse") is None


def test_pictures_are_png() -> None:
    points = Table("", "", ["threshold", "precision", "recall"], [[0.9, 1.0, 0.1], [0.1, 0.5, 1.0]])
    assert draw_precision_recall(points, 0.8, "GBM_1", "yes").startswith(PNG)
    names = ["threshold", "precision", "recall", "f1", "accuracy", "absolute_mcc"]
    thresholds = Table("", "", names, [[0.9, None, 0.1, 0.1, 0.1, 0.1], [0.1, 0.5, 0.1, 0.1, 0.1, 1.0]])
    assert draw_thresholds(thresholds, "GBM_1").startswith(PNG)
    gains = ["cumulative_data_fraction", "cumulative_capture_rate", "cumulative_lift"]
    assert draw_gains(Table("", "", gains, [[0.5, 0.9, 1.8], [1.0, 1.0, 1.0]]), "GBM_1").startswith(PNG)


class TestReport:
    EVIL = "<script>alert('x')</script>\"&"

    def page(self, **changes: object) -> str:
        board = Table("Leaderboard", self.EVIL, ["model_id", "auc"], [[self.EVIL, 0.123456789], ["GLM_1", None]])
        given: dict[str, object] = {
            "title": f"Predicting {self.EVIL}",
            "subtitle": "A classification.",
            "facts": {self.EVIL: self.EVIL},
            "leaderboard": board,
            "warnings": [self.EVIL],
            "missing": [self.EVIL],
        }
        table = Table(self.EVIL, self.EVIL, [self.EVIL], [[self.EVIL]] * 150)
        pictures = [Picture("roc", table, PNG), Picture("partial_dependence", table, PNG)]
        return report(Summary(**{**given, **changes}), pictures).decode()  # type: ignore[arg-type]

    def test_what_comes_from_the_data_is_text(self) -> None:
        page = self.page()
        assert "<script" not in page
        assert page.count("&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&quot;&amp;") > 10

    def test_it_needs_no_network_and_no_script(self) -> None:
        page = self.page()
        assert "default-src 'none'" in page
        assert not re.search(r"https?://|url\(|@import|<link|<iframe", page)
        assert page.count('src="data:image/png;base64,') == 2

    def test_it_shows_the_numbers(self) -> None:
        page = self.page()
        assert "<td class=number>0.123457</td>" in page
        assert "and 50 more rows" in page
        assert page.index('<h2 id="roc">') < page.index('<h2 id="partial_dependence">')

    def test_its_contents_lead_to_its_parts(self) -> None:
        page = self.page()
        anchors = re.findall(r'<a href="#(\w+)">', page)
        assert anchors == ["leaderboard", "roc", "partial_dependence"] == re.findall(r'<h2 id="(\w+)">', page)
        assert "leaderboard" not in re.findall(r'<a href="#(\w+)">', self.page(leaderboard=None))

    def test_nothing_is_missing_where_all_is_there(self) -> None:
        assert "Missing here" not in self.page(missing=[])


def test_cells_as_people_read_them() -> None:
    assert [shown(cell) for cell in (True, 2, 1 / 3, None, "a", np.float64(0.5).item())] == [
        "yes",
        "2",
        "0.333333",
        "",
        "a",
        "0.5",
    ]
