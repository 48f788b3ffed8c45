import io

import pytest
from rich.console import Console

from turnout.cli.leaderboards import leaderboard_table
from turnout.records import Leaderboard, LeaderboardRow

METRICS = {
    "rmse": 0.3125, "mse": 0.0977, "auc": 0.937588, "logloss": 0.324, "aucpr": 0.93001, "mean_per_class_error": 0.112,
}  # fmt: skip
NAMES = [f"StackedEnsemble_{which}_1_AutoML_1_20261123_143000" for which in ("BestOfFamily", "AllModels", "Best")]


def drawn(width: int, most_rows: int | None = None) -> list[str]:
    rows = tuple(LeaderboardRow(i + 1, name, "stackedensemble", METRICS) for i, name in enumerate(NAMES))
    board = Leaderboard(rows, "auc", True, {})
    console = Console(file=io.StringIO(), width=width)
    console.print(leaderboard_table(board, width, most_rows))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined,no-any-return]


def test_wide_screens_show_everything_in_h2os_order() -> None:
    lines = drawn(140)
    assert lines[0].split() == ["model_id", "auc", "logloss", "aucpr", "mean_per_class_error", "rmse", "mse"]
    assert lines[1].split() == [NAMES[0], "0.9376", "0.3240", "0.9300", "0.1120", "0.3125", "0.0977"]


@pytest.mark.parametrize("width", [80, 100])
def test_narrow_screens_shorten_only_names(width: int) -> None:
    lines = drawn(width)
    values = [line.split() for line in lines if line.startswith("Stacked")]
    assert [row[1:] for row in values] == [["0.9376", "0.3240", "0.9300", "0.1120", "0.3125", "0.0977"]] * 3
    assert all("…" in row[0] for row in values)
    assert len({row[0] for row in values}) == 3
    assert max(map(len, lines)) <= width


def test_very_narrow_screens_drop_the_last_metrics() -> None:
    lines = drawn(45)
    assert max(map(len, lines)) <= 45
    assert "0.9376" in lines[-1]


def test_a_short_screen_shows_the_best() -> None:
    assert len(drawn(140, most_rows=1)) == 2
