"""How good the leader is on the test rows."""

from dataclasses import dataclass

from tasks.tabular import ConfusionMatrix
from workers.runtimes.h2o_automl.automl_view import number
from workers.runtimes.h2o_automl.client import LONG_READ_SECONDS, H2OClient, Json, path_part
from workers.runtimes.h2o_automl.frames import copy_without, remove_key
from workers.runtimes.h2o_automl.leader_curves import confusion_by_threshold, curve_points, gains_lift
from workers.runtimes.h2o_automl.tables import Table

# H2O's fields by the names that its leaderboard uses.
_METRICS = {
    "auc": "AUC",
    "logloss": "logloss",
    "aucpr": "pr_auc",
    "mean_per_class_error": "mean_per_class_error",
    "rmse": "RMSE",
    "mse": "MSE",
    "mae": "mae",
    "rmsle": "rmsle",
    "mean_residual_deviance": "mean_residual_deviance",
    "r2": "r2",
    "tot_withinss": "tot_withinss",
    "betweenss": "betweenss",
    "totss": "totss",
    "mean_score": "mean_score",
    "mean_normalized_score": "mean_normalized_score",
}


@dataclass(frozen=True)
class Quality:
    """``points`` are those of the ROC and precision-recall curves; these, ``thresholds`` and ``gains`` are for two
    classes only."""

    metrics: dict[str, float | None]
    confusion: ConfusionMatrix | None
    points: Table | None
    thresholds: Table | None = None
    gains: Table | None = None


def measure_quality(client: H2OClient, model_id: str, frame: str, weights_column: str | None = None) -> Quality:
    """Score a frame with a model. For two classes, H2O's confusion matrix uses the threshold with the highest F1.

    With weights H2O adds them up in its confusion matrix too, so rows are counted in a copy of the frame without them.
    """
    found = _score(client, model_id, frame)
    metrics = {name: number(found[field]) for name, field in _METRICS.items() if field in found}
    counted = found
    if weights_column is not None and found.get("cm") is not None:
        unweighted = f"{frame}_unweighted"
        copy_without(client, frame, unweighted, weights_column)
        counted = _score(client, model_id, unweighted)
        remove_key(client, unweighted)
    confusion = _confusion(counted.get("cm"))
    if confusion is not None:
        right = sum(row[index] for index, row in enumerate(confusion.matrix))
        metrics["accuracy"] = right / max(sum(map(sum, confusion.matrix)), 1)
    known = {name: value for name, value in metrics.items() if value is not None}
    by_threshold = found.get("thresholds_and_metric_scores")
    return Quality(
        dict(known),
        confusion,
        curve_points(by_threshold),
        confusion_by_threshold(by_threshold),
        gains_lift(found.get("gains_lift_table")),
    )


def _score(client: H2OClient, model_id: str, frame: str) -> Json:
    path = f"/3/ModelMetrics/models/{path_part(model_id)}/frames/{path_part(frame)}"
    found: Json = client.post(path, read_seconds=LONG_READ_SECONDS)["model_metrics"][0]
    return found


def confusion_table(confusion: ConfusionMatrix) -> Table:
    return Table(
        "Confusion matrix of the leader on the test rows",
        "Rows are actual classes, columns predicted ones. For two classes the threshold is that of the highest F1.",
        ["actual", *confusion.labels],
        [[label, *counts] for label, counts in zip(confusion.labels, confusion.matrix, strict=True)],
    )


def _confusion(found: Json | None) -> ConfusionMatrix | None:
    if found is None:
        return None
    table = found["table"]
    # The table has a last row of totals, and columns for each class's error and rate.
    labels = [column["name"] for column in table["columns"]][:-2]
    size = len(labels)
    return ConfusionMatrix(
        labels=labels, matrix=[[round(table["data"][column][row]) for column in range(size)] for row in range(size)]
    )
