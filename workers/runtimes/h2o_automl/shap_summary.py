"""What each feature adds to single predictions of the leader, whatever model it is."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from tasks.contracts import LeaderboardEntry
from workers.runtimes.h2o_automl.automl_view import number
from workers.runtimes.h2o_automl.contributions import MOST_COLUMNS, Contributions, h2o_contributions
from workers.runtimes.h2o_automl.failures import H2OError
from workers.runtimes.h2o_automl.sampled_contributions import sampled_contributions
from workers.runtimes.h2o_automl.tables import Table, short_model
from workers.runtimes.h2o_automl.test_frame import TestFrame

MOST_FEATURES = 15


def shap_summary(
    frame: TestFrame,
    leader: LeaderboardEntry,
    features: Sequence[str],
    response: str,
    classes: Sequence[str | None],
    scratch: Path,
) -> Table:
    """One row for each feature, test row and, if there are several ``classes``, class; the features that matter
    most first. ``features`` are in the order of their importance; of two classes only the second is asked for."""
    found, why = None, ""
    if len(classes) > 1:
        why = "H2O has no SHAP values for more than two classes, so these are "
    elif len(features) <= MOST_COLUMNS:
        try:
            found = h2o_contributions(frame, leader.model_id, leader.algo, scratch)
        except H2OError as exc:
            why = f"H2O has no SHAP values for this model ({exc.message}), so these are "
    if found is None:
        found = sampled_contributions(frame, leader.model_id, features, response, classes, scratch)
    return _table(found, leader.model_id, why)


def _table(found: Contributions, model_id: str, why: str) -> Table:
    weight = np.abs(found.shares).mean(axis=(0, 2))
    shown = np.argsort(-weight, kind="stable")[:MOST_FEATURES]
    has_classes = len(found.classes) > 1
    rows: list[list[JsonValue]] = [
        [
            found.features[place],
            found.values[row][place] or None,
            number(float(found.shares[row, place, kind])),
            *([label] if has_classes else []),
        ]
        for kind, label in enumerate(found.classes if has_classes else [""])
        for place in map(int, shown)
        for row in range(len(found.values))
    ]
    return Table(
        f"SHAP summary of {short_model(model_id)}",
        f"contribution is what the feature's value adds to that test row's prediction, on {found.scale}: "
        f"{why}{found.method}. Features are sorted by their mean absolute contribution.",
        ["feature", "value", "contribution", *(["class"] if has_classes else [])],
        rows,
    )
