"""What each feature adds to single predictions: SHAP values, as H2O computes them for trees."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import JsonValue

from tasks.contracts import LeaderboardEntry
from workers.runtimes.h2o_automl.automl_view import number
from workers.runtimes.h2o_automl.client import LONG_READ_SECONDS, path_part
from workers.runtimes.h2o_automl.frames import await_job, remove_key
from workers.runtimes.h2o_automl.tables import Table, short_model
from workers.runtimes.h2o_automl.test_frame import TestFrame

MOST_FEATURES = 15
# With more columns than that, the contributions are larger than the data and take minutes.
MOST_COLUMNS = 500
MOST_ROWS = 400
_TREES = frozenset({"GBM", "XGBoost", "DRF", "XRT"})


def best_tree(entries: Sequence[LeaderboardEntry]) -> LeaderboardEntry | None:
    """The best model whose contributions H2O can compute quickly."""
    return next((entry for entry in entries if entry.algo in _TREES), None)


def contributions(frame: TestFrame, model_id: str, scratch: Path) -> Table:
    """One row for each feature and test row, the features that matter most first; at most ``MOST_ROWS`` test rows."""
    key = frame.keys.frame("contributions")
    path = f"/4/Predictions/models/{path_part(model_id)}/frames/{path_part(frame.sample)}"
    began = frame.client.post(
        path, {"predictions_frame": key, "predict_contributions": "true"}, read_seconds=LONG_READ_SECONDS
    )
    await_job(frame.client, began["key"]["name"], _nothing)
    step = frame.step_for(MOST_ROWS)
    shares = frame.rows_of(key, scratch, every=step)
    values = frame.rows_of(frame.sample, scratch, every=step)
    remove_key(frame.client, key)
    features = [name for name in shares[0] if name != "BiasTerm"]
    weight = {name: sum(abs(number(row[name]) or 0.0) for row in shares) for name in features}
    shown = sorted(features, key=lambda name: -weight[name])[:MOST_FEATURES]
    rows: list[list[JsonValue]] = [
        [name, values[index].get(name) or None, number(shares[index][name])]
        for name in shown
        for index in range(len(shares))
    ]
    return Table(
        f"SHAP summary of {short_model(model_id)}",
        "contribution is what the feature's value adds to that test row's prediction, on the model's own scale (for "
        "two classes the log of the odds). Features are sorted by their mean absolute contribution.",
        ["feature", "value", "contribution"],
        rows,
    )


def _nothing() -> None:
    """A prediction is short; a request to end is heeded after it."""
