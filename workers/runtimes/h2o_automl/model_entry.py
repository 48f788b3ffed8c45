"""A model on the leaderboard of a grid, measured as H2O measured it while training."""

from dataclasses import dataclass

from tasks.contracts import LeaderboardEntry
from workers.runtimes.h2o_automl.automl_view import algorithm, number, table_rows
from workers.runtimes.h2o_automl.client import Json

# H2O's fields, by the names that AutoML's leaderboard has for them, in its order; the first is what AUTO sorts by.
_METRICS: dict[str, dict[str, str]] = {
    "Binomial": {
        "auc": "AUC",
        "logloss": "logloss",
        "aucpr": "pr_auc",
        "mean_per_class_error": "mean_per_class_error",
        "rmse": "RMSE",
        "mse": "MSE",
    },
    "Multinomial": {
        "mean_per_class_error": "mean_per_class_error",
        "logloss": "logloss",
        "rmse": "RMSE",
        "mse": "MSE",
    },
    "Regression": {
        "rmse": "RMSE",
        "mse": "MSE",
        "mae": "mae",
        "rmsle": "rmsle",
        "mean_residual_deviance": "mean_residual_deviance",
    },
    "Clustering": {"tot_withinss": "tot_withinss", "betweenss": "betweenss", "totss": "totss"},
    "AnomalyDetection": {"mean_score": "mean_score", "mean_normalized_score": "mean_normalized_score"},
}
_SORTED_BY = {"deviance": "mean_residual_deviance"}
# Where there are several, the first that a model has is what it is ranked by.
_PARTS = {
    "cross_validation_metrics": "measured by cross-validation",
    "validation_metrics": "measured on the validation rows",
    "training_metrics": "measured on the training rows themselves",
}


@dataclass(frozen=True)
class MeasuredModel:
    """``sort_metric`` is what ``AUTO`` means for it; ``measured`` says on which rows."""

    entry: LeaderboardEntry
    sort_metric: str
    measured: str


def measured_model(model: Json, sort_metric: str) -> MeasuredModel | None:
    """A model of ``GET /3/Models``; None while H2O has not measured it."""
    output = model["output"]
    part = next((name for name in _PARTS if output.get(name)), None)
    if part is None:
        return None
    model_id = model["model_id"]["name"]
    metrics = metrics_of(output["model_category"], output[part]) or _explained(output)
    wanted = sort_metric.lower() if sort_metric != "AUTO" else next(iter(metrics), "")
    return MeasuredModel(
        LeaderboardEntry(model_id=model_id, algo=algorithm(model_id), metrics=metrics),
        _SORTED_BY.get(wanted, wanted),
        _PARTS[part],
    )


def metrics_of(category: str, found: Json) -> dict[str, float | None]:
    """H2O's metrics by the leaderboard's names; those of a category without any are empty."""
    return {name: number(found.get(field)) for name, field in _METRICS.get(category, {}).items()}


def _explained(output: Json) -> dict[str, float | None]:
    """Of principal components: the share of the variance that all of them together explain."""
    for row in table_rows(output.get("importance")):
        if row.get("") == "Cumulative Proportion":
            return {"explained_variance": number(list(row.values())[-1])}
    return {}
