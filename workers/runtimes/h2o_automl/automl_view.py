"""What H2O says about a running AutoML, read into plain values."""

import math
import re
from collections.abc import Sequence

from tasks.contracts import LeaderboardEntry
from workers.runtimes.h2o_automl.client import Json
from workers.runtimes.h2o_automl.training_view import Event, TrainingView

_STARTING = re.compile(r"starting (\w+?)_AutoML_\d+_\d+_\d+")
# H2O warns of these whatever one does, so they explain no failure.
_HARMLESS = (
    "User specified a validation frame",
    "_train param, Dropping",
    "Skipping StackedEnsemble",
    "Empty leaderboard",
    "AutoML was not able to build any model",
)


def read_automl(answer: Json) -> TrainingView | None:
    """One look at ``GET /99/AutoML/{project}``. None if the cluster knows no AutoML of that project (H2O answers with
    an empty one then)."""
    if answer["project_name"] is None:
        return None
    board = answer["leaderboard"] or {}
    events = tuple(_event(row) for row in table_rows(answer["event_log_table"]))
    return TrainingView(
        sort_metric=board.get("sort_metric") or "",
        entries=tuple(_entry(row) for row in table_rows(answer["leaderboard_table"])),
        events=events,
        now_training=_now_training(events),
        complaint=_complaint(events),
    )


def _now_training(events: Sequence[Event]) -> str | None:
    """The model that was started last, such as ``GBM_2``."""
    for event in reversed(events):
        found = _STARTING.search(event.message)
        if found:
            return found[1]
    return None


def _complaint(events: Sequence[Event]) -> str | None:
    """Why the last model failed, else the last warning."""
    failures = [event.message for event in events if "] failed: " in event.message]
    warnings = [
        event.message
        for event in events
        if event.level.upper() in ("WARN", "ERROR") and not event.message.startswith(_HARMLESS)
    ]
    found = failures or warnings
    return found[-1] if found else None


def table_rows(table: Json | None) -> list[Json]:
    """H2O's two-dimensional tables hold columns; these are their rows, by column name."""
    if not table or not table["data"]:
        return []
    names = [column["name"] for column in table["columns"]]
    return [dict(zip(names, row, strict=True)) for row in zip(*table["data"], strict=True)]


def number(value: object) -> float | None:
    """A number of an H2O answer, which writes NaN and infinities as words; None for those."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def algorithm(model_id: str) -> str:
    """``GBM`` for ``GBM_grid_1_AutoML_1_20261123_143252_model_2``: H2O starts its ids with it."""
    return model_id.split("_", 1)[0]


def _entry(row: Json) -> LeaderboardEntry:
    metrics = {name: number(value) for name, value in row.items() if name not in ("", "model_id")}
    return LeaderboardEntry(model_id=row["model_id"], algo=algorithm(row["model_id"]), metrics=metrics)


def _event(row: Json) -> Event:
    return Event(row["timestamp"] or "", row["level"] or "INFO", row["stage"] or "", row["message"] or "")
