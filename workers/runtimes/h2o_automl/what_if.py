"""Asks several models at once what they would predict if one feature of some test rows were another.

One frame of changed rows serves all features and all models, so it takes one upload and one prediction a model, where
H2O's own partial dependence and ICE score the data anew for each feature, model and point.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from tasks.contracts import LeaderboardEntry
from workers.runtimes.h2o_automl.automl_view import number
from workers.runtimes.h2o_automl.client import LONG_READ_SECONDS, path_part
from workers.runtimes.h2o_automl.frames import await_job, remove_key, upload_table
from workers.runtimes.h2o_automl.tables import Table, short_model
from workers.runtimes.h2o_automl.test_frame import Column, TestFrame

MOST_FEATURES = 20
MOST_MODELS = 5
# Test rows that are changed, the points each feature is set to, and levels of a category.
ROWS = 40
POINTS = 15
# Cells of the frame of changed rows.
_MOST_CELLS = 2_000_000
# What to tell the parser for a frame's column types; others are no features.
_PARSED = {"enum": "Enum", "int": "Numeric", "real": "Numeric", "time": "Time"}


@dataclass(frozen=True)
class Answers:
    """``responses[m, f, p, r]``: what model m predicts for row r with feature f at point p, as ``points[f][p]``; NaN
    beyond a feature's points."""

    models: Sequence[str]
    features: Sequence[Column]
    points: Sequence[Sequence[str]]
    responses: npt.NDArray[np.float64]


def ask(
    frame: TestFrame,
    features: Sequence[Column],
    entries: Sequence[LeaderboardEntry],
    response: str,
    class_label: str | None,
    scratch: Path,
) -> Answers:
    """Have the models predict the changed rows: the probability of ``class_label``, or the number if it is None."""
    rows = frame.rows_of(frame.sample, scratch, every=frame.step_for(ROWS))
    columns = _asked(frame, response)
    grid = [_points(feature, rows) for feature in features]
    path, key = scratch / "what_if.csv", frame.keys.frame("what_if")
    _write(path, columns, rows, features, grid)
    names = [column.name for column in columns]
    types = {column.name: _PARSED[column.kind] for column in columns}
    try:
        upload_table(
            frame.client,
            path,
            key,
            columns=names,
            separator=",",
            types=types,
            missing={},
            renamed={},
            tick=_nothing,
        )
        shown = entries[:MOST_MODELS]
        predicted = [_predict(frame, entry.model_id, key, class_label, scratch) for entry in shown]
    finally:
        path.unlink()
        remove_key(frame.client, key)
    shape = np.full((len(shown), len(features), max(map(len, grid)), len(rows)), np.nan)
    begin = 0
    for place, points in enumerate(grid):
        end = begin + len(points) * len(rows)
        for model, values in enumerate(predicted):
            shape[model, place, : len(points)] = np.reshape(values[begin:end], (len(points), len(rows)))
        begin = end
    return Answers([entry.model_id for entry in shown], features, grid, shape)


def ice_table(answers: Answers, place: int) -> Table:
    """What the leader predicts for each row at each point of feature number ``place``, centred nowhere."""
    feature, points = answers.features[place], answers.points[place]
    leader = answers.responses[0, place]
    rows: list[list[JsonValue]] = [
        [row, _value(feature, point), float(leader[index, row])]
        for row in range(leader.shape[1])
        for index, point in enumerate(points)
    ]
    return Table(
        f"Individual conditional expectation on {feature.name}",
        f"What {answers.models[0]} predicts for each of {leader.shape[1]} test rows when {feature.name} is set to each "
        "value.",
        ["row", feature.name, "response"],
        rows,
    )


def models_table(answers: Answers, place: int) -> Table:
    """The mean prediction of each model at each point of feature number ``place``."""
    feature, points = answers.features[place], answers.points[place]
    means = answers.responses[:, place].mean(axis=2)
    return Table(
        f"Partial dependence on {feature.name} across models",
        f"Mean prediction over {answers.responses.shape[3]} test rows when {feature.name} is set to each value.",
        [feature.name, *map(short_model, answers.models)],
        [[_value(feature, point), *map(float, means[:, index])] for index, point in enumerate(points)],
    )


def most_features(frame: TestFrame, response: str) -> int:
    """Of how many features may be asked: of a table with very many columns of few, or none."""
    return min(MOST_FEATURES, _MOST_CELLS // (max(len(_asked(frame, response)), 1) * ROWS * POINTS))


def _asked(frame: TestFrame, response: str) -> list[Column]:
    """The columns of the changed rows."""
    return [column for column in frame.columns.values() if column.kind in _PARSED and column.name != response]


def _points(feature: Column, rows: Sequence[dict[str, str]]) -> list[str]:
    """The values that a feature is set to: its most frequent levels, or numbers from its lowest to its highest."""
    values = [row[feature.name] for row in rows if row[feature.name] != ""]
    if feature.levels:
        common = {level for level, _count in Counter(values).most_common(POINTS)}
        return [level for level in feature.levels if level in common] or [feature.levels[0]]
    numbers = sorted({found for found in map(number, values) if found is not None})
    if len(numbers) <= POINTS:
        return [_written(feature, value) for value in numbers] or ["0"]
    return [_written(feature, float(value)) for value in np.linspace(numbers[0], numbers[-1], POINTS)]


def _written(feature: Column, value: float) -> str:
    return str(round(value)) if feature.kind == "time" else repr(value)


def _value(feature: Column, point: str) -> JsonValue:
    return point if feature.levels else float(point)


def _write(
    path: Path,
    columns: Sequence[Column],
    rows: Sequence[dict[str, str]],
    features: Sequence[Column],
    grid: Sequence[Sequence[str]],
) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow([column.name for column in columns])
        for feature, points in zip(features, grid, strict=True):
            for point in points:
                for row in rows:
                    changed = {**row, feature.name: point}
                    writer.writerow([changed[column.name] for column in columns])


def _predict(frame: TestFrame, model_id: str, key: str, class_label: str | None, scratch: Path) -> list[float]:
    predicted = f"{key}_predicted"
    path = f"/4/Predictions/models/{path_part(model_id)}/frames/{path_part(key)}"
    began = frame.client.post(path, {"predictions_frame": predicted}, read_seconds=LONG_READ_SECONDS)
    await_job(frame.client, began["key"]["name"], _nothing)
    found = frame.rows_of(predicted, scratch)
    remove_key(frame.client, predicted)
    column = "predict" if class_label is None else _class_column(found[0], class_label)
    values = (number(row[column]) for row in found)
    return [float("nan") if value is None else value for value in values]


def _class_column(row: dict[str, str], label: str) -> str:
    """H2O puts a ``p`` before a class that is a whole number."""
    return label if label in row and label != "predict" else f"p{label}"


def _nothing() -> None:
    """Parsing and predicting these few rows is short; a request to end is heeded after it."""
