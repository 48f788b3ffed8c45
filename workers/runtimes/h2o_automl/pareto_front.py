"""Which models no other one beats in both quality and speed."""

from collections.abc import Sequence

from pydantic import JsonValue

from workers.runtimes.h2o_automl.automl_view import algorithm, number, table_rows
from workers.runtimes.h2o_automl.client import LONG_READ_SECONDS, H2OClient, path_part
from workers.runtimes.h2o_automl.tables import Table

_TIME = "predict_time_per_row_ms"
HIGHER_IS_BETTER = frozenset({"auc", "aucpr", "explained_variance"})


def pareto_front(client: H2OClient, automl_key: str, sort_metric: str) -> Table | None:
    """Quality and prediction time of every model as H2O's leaderboard measures them; None for a single model."""
    answer = client.get(
        f"/99/Leaderboards/{path_part(automl_key)}",
        params={"extensions": f"[{_TIME},training_time_ms]"},
        read_seconds=LONG_READ_SECONDS,
    )
    rows = table_rows(answer["table"])
    if len(rows) < 2:
        return None
    models = [(row["model_id"], number(row[sort_metric]), number(row[_TIME])) for row in rows]
    known = [(model, quality, time) for model, quality, time in models if quality is not None and time is not None]
    best = on_front([(quality, time) for _model, quality, time in known], higher=sort_metric in HIGHER_IS_BETTER)
    cells: list[list[JsonValue]] = [
        [model, algorithm(model), quality, time, is_best]
        for (model, quality, time), is_best in zip(known, best, strict=True)
    ]
    return Table(
        "Quality and prediction time",
        "No other model is both better and faster than one on the front.",
        ["model_id", "algo", sort_metric, _TIME, "on_front"],
        cells,
    )


def on_front(points: Sequence[tuple[float, float]], *, higher: bool) -> list[bool]:
    """For each (quality, time), whether no other point is at least as good in both and better in one."""
    signed = [(-quality if higher else quality, time) for quality, time in points]
    return [not any(a <= q and b <= t and (a, b) != (q, t) for a, b in signed) for q, t in signed]
