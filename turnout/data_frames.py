"""Tables for pandas and as Parquet files, which only those need who ask for one."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from turnout.errors import Unusable

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped] # it carries no types

    from turnout.records import LeaderboardRow

_NAMES = ("rank", "model_id", "algo")


def leaderboard_frame(rows: Sequence["LeaderboardRow"]) -> "pd.DataFrame":
    try:
        # Only here: it takes longer to load than most programs that follow a job take to run.
        pandas = importlib.import_module("pandas")
    except ImportError as exc:
        raise Unusable("A data frame needs pandas: pip install 'turnout[pandas]'") from exc
    columns: dict[str, list[object]] = {name: [getattr(row, name) for row in rows] for name in _NAMES}
    for name, values in _metrics(rows).items():
        columns[name] = [float("nan") if value is None else value for value in values]
    return pandas.DataFrame(columns, columns=list(columns))


def write_leaderboard(rows: Sequence["LeaderboardRow"], path: Path) -> None:
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as exc:
        raise Unusable("A Parquet file needs pyarrow: pip install 'turnout[parquet]'") from exc
    columns = {
        "rank": arrow.array([row.rank for row in rows], arrow.int64()),
        "model_id": arrow.array([row.model_id for row in rows], arrow.string()),
        "algo": arrow.array([row.algo for row in rows], arrow.string()),
    }
    columns |= {name: arrow.array(values, arrow.float64()) for name, values in _metrics(rows).items()}
    parquet.write_table(arrow.table(columns), path)


def _metrics(rows: Sequence["LeaderboardRow"]) -> dict[str, list[float | None]]:
    """Of each metric its values, in the server's order."""
    names = dict.fromkeys(name for row in rows for name in row.metrics)
    return {name: [row.metrics.get(name) for row in rows] for name in names}
