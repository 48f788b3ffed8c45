"""Tables for pandas, which only those need who ask for one."""

import importlib
from collections.abc import Sequence
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
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    columns: dict[str, list[object]] = {name: [getattr(row, name) for row in rows] for name in _NAMES}
    for name in metrics:
        values = [row.metrics.get(name) for row in rows]
        columns[name] = [float("nan") if value is None else value for value in values]
    return pandas.DataFrame(columns, columns=[*_NAMES, *metrics])
