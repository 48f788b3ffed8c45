"""How a model's error fell while it was trained."""

from collections.abc import Sequence

from pydantic import JsonValue

from tasks.contracts import LeaderboardEntry
from workers.runtimes.h2o_automl.automl_view import number, table_rows
from workers.runtimes.h2o_automl.client import H2OClient, Json, path_part
from workers.runtimes.h2o_automl.tables import Table, short_model

# The first that a history has is its step, and its error.
_STEPS = ("number_of_trees", "epochs", "iterations", "iteration")
_ERRORS = ("logloss", "deviance", "rmse", "objective", "negative_log_likelihood")
_PARTS = ("training", "validation")


def learning_curve(client: H2OClient, entries: Sequence[LeaderboardEntry]) -> tuple[Table, str] | None:
    """The history of the best model that has one, and the model's id; ensembles have none. None if no model has."""
    for entry in entries:
        output = client.get(f"/3/Models/{path_part(entry.model_id)}")["models"][0]["output"]
        table = history_table(table_rows(output.get("scoring_history")), entry.model_id)
        if table is not None:
            return table, entry.model_id
    return None


def history_table(history: Sequence[Json], model_id: str) -> Table | None:
    """The error by step, in training and, if there is one, in validation; None for less than two points."""
    if not history:
        return None
    step = next((name for name in _STEPS if name in history[0]), None)
    found = _error(history[0])
    if step is None or found is None:
        return None
    error, columns = found
    rows: list[list[JsonValue]] = []
    for row in history:
        values: list[JsonValue] = [number(row[step]), *(number(row[name]) for name in columns)]
        if values[0] is not None and values[1] is not None:
            rows.append(values)
    if len(rows) < 2:
        return None
    parts = [name.removesuffix(f"_{error}") if name != error else "training" for name in columns]
    return Table(
        f"Learning curve of {short_model(model_id)}",
        f"{error} after each {step}; lower is better.",
        [step, *(f"{part}_{error}" for part in parts)],
        rows,
    )


def _error(row: Json) -> tuple[str, list[str]] | None:
    for error in _ERRORS:
        columns = [f"{part}_{error}" for part in _PARTS if f"{part}_{error}" in row]
        if columns and columns[0].startswith("training"):
            return error, columns
        if error in row:
            return error, [error]
    return None
