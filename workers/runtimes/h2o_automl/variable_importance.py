"""What each model of the leaderboard makes of each feature."""

from collections.abc import Sequence

from tasks.contracts import LeaderboardEntry
from workers.runtimes.h2o_automl.automl_view import number, table_rows
from workers.runtimes.h2o_automl.client import H2OClient, path_part
from workers.runtimes.h2o_automl.tables import Table, short_models

MOST_MODELS = 20
MOST_FEATURES = 20

# By model and feature, 0 to 1.
Importances = dict[str, dict[str, float]]


def importances(client: H2OClient, entries: Sequence[LeaderboardEntry], features: Sequence[str]) -> Importances:
    """Each feature's importance in each model, best model first; 1 is each model's highest. Ensembles have none."""
    found: Importances = {}
    for entry in entries:
        if entry.algo != "StackedEnsemble" and len(found) < MOST_MODELS:
            of_model = _importance(client, entry.model_id, features)
            if of_model:
                found[entry.model_id] = of_model
    return dict(zip(short_models(list(found)), found.values(), strict=True))


def ranked(found: Importances, features: Sequence[str]) -> list[str]:
    """The features, the ones that matter most to all models first."""
    mean = {name: sum(of_model.get(name, 0.0) for of_model in found.values()) for name in features}
    return sorted(features, key=lambda name: -mean[name])


def importance_table(found: Importances, features: Sequence[str]) -> Table | None:
    """Features as rows, most important first, and models as columns; None if no model has importances."""
    if not found:
        return None
    return Table(
        "Variable importance",
        "Scaled within each model: 1 is its most important feature. Levels of a category are added up.",
        ["feature", *found],
        [
            [name, *(of_model.get(name, 0.0) for of_model in found.values())]
            for name in ranked(found, features)[:MOST_FEATURES]
        ],
    )


def _importance(client: H2OClient, model_id: str, features: Sequence[str]) -> dict[str, float]:
    output = client.get(f"/3/Models/{path_part(model_id)}")["models"][0]["output"]
    total: dict[str, float] = {}
    for row in table_rows(output.get("variable_importances")):
        feature = feature_of(row["variable"], features)
        if feature is not None:
            total[feature] = total.get(feature, 0.0) + (number(row["percentage"]) or 0.0)
    highest = max(total.values(), default=0.0)
    return {name: value / highest for name, value in total.items()} if highest > 0 else {}


def feature_of(variable: str, features: Sequence[str]) -> str | None:
    """The feature behind a variable: models that split a category into its levels call them ``feature.level``."""
    if variable in features:
        return variable
    return max((name for name in features if variable.startswith(f"{name}.")), key=len, default=None)
