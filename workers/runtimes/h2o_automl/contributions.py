"""What each feature adds to single predictions, as H2O computes it: TreeSHAP, or SHAP against background rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.runtimes.h2o_automl.automl_view import number
from workers.runtimes.h2o_automl.client import LONG_READ_SECONDS, path_part
from workers.runtimes.h2o_automl.frames import await_job, copy_rows, remove_key
from workers.runtimes.h2o_automl.test_frame import TestFrame

# With more columns than that, the contributions are larger than the data and take minutes.
MOST_COLUMNS = 500
TREE_ROWS = 400
# Against background rows each explained row is computed as often as there are of them, by every model of an ensemble.
ROWS = 100
BACKGROUND_ROWS = 25
_TREES = frozenset({"GBM", "XGBoost", "DRF", "XRT"})


@dataclass(frozen=True)
class Contributions:
    """``shares[r, f, c]``: what feature f adds to the prediction of row r for class c; one c for two classes and for
    numbers. ``values[r][f]`` is the feature's value in that row, as text; ``scale`` and ``method`` are words."""

    features: Sequence[str]
    classes: Sequence[str]
    values: Sequence[Sequence[str]]
    shares: npt.NDArray[np.float64]
    scale: str
    method: str


def h2o_contributions(frame: TestFrame, model_id: str, algo: str, scratch: Path) -> Contributions:
    """For two classes on the scale of the model's own sum, for most the log of the odds. Raises ``H2OError`` for models
    that H2O can't compute them for, such as those for more than two classes."""
    is_tree = algo in _TREES
    explained, background = frame.keys.frame("explained"), frame.keys.frame("background")
    result = frame.keys.frame("contributions")
    request = {
        "predictions_frame": result,
        "predict_contributions": "true",
        # Otherwise XGBoost and linear models answer by level instead of by feature.
        "predict_contributions_output_format": "Compact",
    }
    try:
        copy_rows(frame.client, frame.sample, explained, frame.spread(TREE_ROWS if is_tree else ROWS))
        if not is_tree:
            copy_rows(frame.client, frame.sample, background, frame.spread(BACKGROUND_ROWS))
            request["background_frame"] = background
        path = f"/4/Predictions/models/{path_part(model_id)}/frames/{path_part(explained)}"
        began = frame.client.post(path, request, read_seconds=LONG_READ_SECONDS)
        await_job(frame.client, began["key"]["name"], _nothing)
        found, rows = frame.rows_of(result, scratch), frame.rows_of(explained, scratch)
    finally:
        for key in (explained, background, result):
            remove_key(frame.client, key)
    features = [name for name in found[0] if name != "BiasTerm"]
    shares = np.array([[[number(row[name]) or 0.0] for name in features] for row in found])
    values = [[row.get(name, "") for name in features] for row in rows]
    method = "H2O's TreeSHAP" if is_tree else f"H2O's SHAP against {len(frame.spread(BACKGROUND_ROWS))} test rows"
    return Contributions(
        features, [], values, shares, "the model's own scale (for two classes, mostly log odds)", method
    )


def _nothing() -> None:
    """These few rows are short; a request to end is heeded after it."""
