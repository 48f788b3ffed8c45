"""Shapley values by sampling, and which way of computing contributions is taken."""

from pathlib import Path

import numpy as np
import pytest

from tasks.contracts import LeaderboardEntry
from tests.unit.h2o.test_what_if import SIZE, frame_of
from workers.runtimes.h2o_automl import shap_summary as summary
from workers.runtimes.h2o_automl.contributions import Contributions
from workers.runtimes.h2o_automl.failures import H2OError
from workers.runtimes.h2o_automl.pictures.shap import draw_contributions
from workers.runtimes.h2o_automl.sampled_contributions import (
    MOST_FEATURES,
    ORDER_PAIRS,
    OTHERS,
    ROWS,
    affordable,
    drawn_orders,
    sampled_contributions,
    shares,
    walk,
)
from workers.runtimes.h2o_automl.shap_summary import shap_summary
from workers.runtimes.h2o_automl.tables import Table
from workers.runtimes.h2o_automl.test_frame import Column

LEADER = LeaderboardEntry(model_id="SE_1", algo="StackedEnsemble", metrics={})
FOUND = Contributions(["size"], [], [["1"]], np.array([[[0.5]]]), "the model's own scale", "H2O's TreeSHAP")


def walked(rows: list[dict[str, float]], others: list[dict[str, float]], orders: np.ndarray, predict) -> np.ndarray:  # type: ignore[type-arg, no-untyped-def]
    players = [[name] for name in rows[0]]
    predicted = [
        predict(mixed)
        for place, row in enumerate(rows)
        for order in orders[place]
        for mixed in walk(row, others[place], players, order)  # type: ignore[arg-type]
    ]
    return shares(np.array(predicted), orders)


def test_what_adds_up_is_found_exactly() -> None:
    random = np.random.default_rng(0)
    names, weights = ["a", "b", "c"], np.array([2.0, -3.0, 0.0])
    rows, others = ([dict(zip(names, random.normal(size=3), strict=True)) for _ in range(5)] for _ in range(2))
    found = walked(rows, others, drawn_orders(random, 5, 2, 3), lambda row: [weights @ list(row.values())])
    moved = np.array([list(row.values()) for row in rows]) - np.array([list(row.values()) for row in others])
    assert np.allclose(found[:, :, 0], weights * moved)


def test_a_product_is_shared_evenly_and_nothing_is_lost() -> None:
    def predict(row: dict[str, float]) -> list[float]:
        return [row["a"] * row["b"], 1 - row["a"] * row["b"]]

    rows, others = [{"a": 2.0, "b": 3.0}], [{"a": 0.0, "b": 0.0}]
    found = walked(rows, others, drawn_orders(np.random.default_rng(0), 1, 1, 2), predict)
    assert np.allclose(found[0], [[3, -3], [3, -3]])
    assert np.allclose(found.sum(axis=1), np.array(predict(rows[0])) - np.array(predict(others[0])))


def test_every_order_is_used_backwards_too() -> None:
    orders = drawn_orders(np.random.default_rng(0), 7, 3, 5)
    assert orders.shape == (7, 6, 5)
    assert (np.sort(orders) == np.arange(5)).all()
    assert (orders[:, 1::2] == orders[:, ::2, ::-1]).all()


@pytest.mark.parametrize(
    ("players", "columns", "expected"),
    [(2, 2, (ROWS, ORDER_PAIRS)), (16, 500, (ROWS, ORDER_PAIRS)), (16, 1000, (ROWS, 2)), (16, 5000, (17, 1))],
)
def test_a_wide_table_gets_fewer_rows(players: int, columns: int, expected: tuple[int, int]) -> None:
    assert affordable(players, columns) == expected


def test_further_features_move_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = [f"x{n}" for n in range(MOST_FEATURES + 3)]
    frame = frame_of({name: Column(name, "real", ()) for name in names}, rows=2)
    given = [{name: str(value) for name in names} for value in (0, 1)]
    monkeypatch.setattr(type(frame), "rows_of", lambda *_, **__: given)

    def predict(_frame: object, _role: str, rows: object, *_: object) -> np.ndarray:  # type: ignore[type-arg]
        return np.array([[[sum(map(int, row.values()))] for row in rows]], dtype=np.float64)  # type: ignore[attr-defined]

    monkeypatch.setattr("workers.runtimes.h2o_automl.sampled_contributions.predict_rows", predict)
    found = sampled_contributions(frame, "M", names, "y", [None], tmp_path)
    assert list(found.features) == [*names[:MOST_FEATURES], OTHERS]
    # Either a row stays what it is, or each feature changes by one, and the last player by three.
    moved = found.shares[:, :, 0]
    assert np.allclose(moved[:, -1], 3 * moved[:, 0])
    assert found.classes == []


class TestWays:
    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[object]:
        asked: list[object] = []

        def sampled(
            _f: object, _m: str, _features: object, _r: str, classes: list[str | None], _s: object
        ) -> Contributions:
            asked.append(list(classes))
            named = [label for label in classes if label is not None]
            found = np.zeros((2, 1, len(classes)))
            return Contributions(["size"], named, [["1"], [""]], found, "the scale of the prediction", "sampling")

        monkeypatch.setattr(summary, "sampled_contributions", sampled)
        monkeypatch.setattr(summary, "h2o_contributions", lambda *_: FOUND)
        return asked

    def table(self, classes: list[str | None], features: int = 1) -> Table:
        names = [f"x{n}" for n in range(features)]
        return shap_summary(frame_of({"size": SIZE}), LEADER, names, "y", classes, Path())

    def test_two_classes_and_numbers_are_h2os(self, asked: list[object]) -> None:
        for classes in (["yes"], [None]):
            table = self.table(classes)
            assert (list(table.columns), table.rows) == (["feature", "value", "contribution"], [["size", "1", 0.5]])
            assert "H2O's TreeSHAP" in table.note
        assert asked == []

    def test_more_classes_are_sampled_and_it_is_said_why(self, asked: list[object]) -> None:
        table = self.table(["a", "b", "c"])
        assert asked == [["a", "b", "c"]]
        assert "H2O has no SHAP values for more than two classes" in table.note
        assert table.rows == [["size", value, 0.0, label] for label in "abc" for value in ("1", None)]

    def test_a_model_without_contributions_is_sampled(
        self, asked: list[object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> Contributions:
            raise H2OError(500, "", "not supported for this")

        monkeypatch.setattr(summary, "h2o_contributions", refuse)
        assert "(not supported for this)" in self.table(["yes"]).note
        assert self.table([None]).rows == [["size", "1", 0.0], ["size", None, 0.0]]
        assert asked == [["yes"], [None]]

    def test_very_wide_tables_are_sampled(self, asked: list[object]) -> None:
        self.table([None], features=501)
        assert asked == [[None]]


def test_pictures() -> None:
    columns = ["feature", "value", "contribution"]
    rows = [["size", "1.5", 0.1], ["size", None, -0.1], ["colour", "red", 0.3], ["colour", None, None]]
    assert draw_contributions(Table("", "", columns, rows), "GBM_1").startswith(b"\x89PNG")  # type: ignore[arg-type]
    classes = [[*row, label] for label in ("no", "some", "x" * 90, "many") for row in rows]
    assert draw_contributions(Table("", "", [*columns, "class"], classes), "GBM_1").startswith(b"\x89PNG")
