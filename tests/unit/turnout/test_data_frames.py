"""Leaderboards as tables for pandas."""

import sys

import pandas as pd
import pytest

from turnout import Leaderboard, LeaderboardRow, Unusable


def board(*metrics: dict[str, float | None]) -> Leaderboard:
    rows = tuple(LeaderboardRow(rank, f"GBM_{rank}", "GBM", known) for rank, known in enumerate(metrics, 1))
    return Leaderboard(rows, "auc", True, {})


def test_columns_in_the_servers_order_and_gaps_as_nan() -> None:
    frame = board({"auc": 0.9, "logloss": None, "rmse": None}, {"auc": 0.8, "rmse": None, "mse": 1}).to_dataframe()
    assert list(frame.columns) == ["rank", "model_id", "algo", "auc", "logloss", "rmse", "mse"]
    assert list(frame.index) == [0, 1]
    assert frame["model_id"].tolist() == ["GBM_1", "GBM_2"]
    assert frame["auc"].idxmax() == 0
    assert [str(frame[name].dtype) for name in ("rank", "auc", "logloss", "rmse", "mse")] == ["int64"] + ["float64"] * 4
    assert frame[["logloss", "rmse"]].isna().all().all()


def test_no_models_make_no_rows() -> None:
    frame = board().to_dataframe()
    assert (list(frame.columns), len(frame)) == (["rank", "model_id", "algo"], 0)
    assert isinstance(frame, pd.DataFrame)


def test_without_pandas_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(Unusable, match=r"pip install 'turnout\[pandas\]'"):
        board().to_dataframe()
