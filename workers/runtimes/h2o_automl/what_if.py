"""Asks several models at once what they would predict if one feature of some test rows were another.

One frame of changed rows serves partial dependence, single rows and the comparison of models, for all features, so it
takes one upload and one prediction a model, where H2O's own functions score the data anew for each feature, model and
point.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from tasks.contracts import LeaderboardEntry
from workers.runtimes.h2o_automl.automl_view import number
from workers.runtimes.h2o_automl.changed_rows import MOST_CELLS, given_columns, predict_rows
from workers.runtimes.h2o_automl.tables import Table, short_models
from workers.runtimes.h2o_automl.test_frame import Column, TestFrame

MOST_FEATURES = 50
MOST_MODELS = 5
# Test rows that are changed, and of these the ones that are shown as lines.
FEWEST_ROWS, MOST_ROWS, MOST_LINES = 30, 400, 40
# The values that numbers are set to, and the levels of a category.
POINTS, MOST_LEVELS = 20, 30
# Changed rows that every model predicts, as long as there are not so few of each feature.
MOST_CHANGED = 50_000


@dataclass(frozen=True)
class Answers:
    """``responses[m, f, p, r, c]``: what model m predicts for row r and class c with feature f at ``points[f][p]``; NaN
    beyond a feature's points. ``classes`` is ``[None]`` for numbers; ``shown`` is the place of the one that stands for
    all where there is room for one."""

    models: Sequence[str]
    features: Sequence[Column]
    points: Sequence[Sequence[str]]
    classes: Sequence[str | None]
    shown: int
    responses: npt.NDArray[np.float64]

    def leader(self, place: int) -> npt.NDArray[np.float64]:
        """Points by rows by classes, of feature number ``place``."""
        return np.asarray(self.responses[0, place, : len(self.points[place])])

    def lines(self, place: int) -> npt.NDArray[np.float64]:
        """Points by some of the rows, of the leader and the class that is shown."""
        found = self.leader(place)[:, :, self.shown]
        return found[:, :: -(-found.shape[1] // MOST_LINES)]

    def means(self, place: int) -> npt.NDArray[np.float64]:
        """Models by points, of the class that is shown."""
        return np.asarray(self.responses[:, place, : len(self.points[place]), :, self.shown].mean(axis=2))


def ask(
    frame: TestFrame,
    features: Sequence[Column],
    entries: Sequence[LeaderboardEntry],
    response: str,
    classes: Sequence[str | None],
    shown: int,
    scratch: Path,
) -> Answers:
    """Have the best models predict the changed rows: the probabilities of ``classes``, or the number for ``[None]``."""
    columns = given_columns(frame, response)
    seen = list(zip(*frame.values([feature.name for feature in features], scratch), strict=True))
    grid = [points_of(feature, values) for feature, values in zip(features, seen, strict=True)]
    most = min(MOST_CELLS // len(columns), MOST_CHANGED) // sum(map(len, grid))
    rows = frame.rows_of(frame.sample, scratch, every=frame.step_for(max(FEWEST_ROWS, min(most, MOST_ROWS))))
    models = [entry.model_id for entry in entries[:MOST_MODELS]]
    predicted = predict_rows(frame, "what_if", changed(rows, features, grid), columns, models, classes, scratch)
    responses = np.full((len(models), len(features), max(map(len, grid)), len(rows), len(classes)), np.nan)
    begin = 0
    for place, points in enumerate(grid):
        end = begin + len(points) * len(rows)
        responses[:, place, : len(points)] = predicted[:, begin:end].reshape(len(models), len(points), len(rows), -1)
        begin = end
    return Answers(models, features, grid, classes, shown, responses)


def dependence_table(answers: Answers, place: int) -> Table:
    """For each class, and each point of feature number ``place``: the leader's mean prediction, its spread over the
    rows and its standard error."""
    feature, points, found = answers.features[place], answers.points[place], answers.leader(place)
    several = len(answers.classes) > 1
    count = found.shape[1]
    mean, spread = found.mean(axis=1), found.std(axis=1)
    rows: list[list[JsonValue]] = [
        [
            label if several else None,
            _value(feature, point),
            float(mean[index, kind]),
            float(spread[index, kind]),
            float(spread[index, kind] / np.sqrt(count)),
        ]
        for kind, label in enumerate(answers.classes)
        for index, point in enumerate(points)
    ]
    return Table(
        f"Partial dependence on {feature.name}",
        f"Mean prediction of {answers.models[0]} over {count} test rows when {feature.name} is set to each value.",
        ["class", feature.name, "mean_response", "stddev_response", "std_error_mean_response"],
        rows,
    )


def ice_table(answers: Answers, place: int) -> Table:
    """What the leader predicts for each row at each point of feature number ``place``, centred nowhere."""
    feature, points, lines = answers.features[place], answers.points[place], answers.lines(place)
    rows: list[list[JsonValue]] = [
        [row, _value(feature, point), float(lines[index, row])]
        for row in range(lines.shape[1])
        for index, point in enumerate(points)
    ]
    return Table(
        f"Individual conditional expectation on {feature.name}",
        f"What {answers.models[0]} predicts for each of {lines.shape[1]} test rows when {feature.name} is set to each "
        "value.",
        ["row", feature.name, "response"],
        rows,
    )


def models_table(answers: Answers, place: int) -> Table:
    """The mean prediction of each model at each point of feature number ``place``."""
    feature, points, means = answers.features[place], answers.points[place], answers.means(place)
    return Table(
        f"Partial dependence on {feature.name} across models",
        f"Mean prediction over {answers.responses.shape[3]} test rows when {feature.name} is set to each value.",
        [feature.name, *short_models(answers.models)],
        [[_value(feature, point), *map(float, means[:, index])] for index, point in enumerate(points)],
    )


def most_features(frame: TestFrame, response: str) -> int:
    """Of how many features may be asked: of a table with very many columns of few."""
    affordable = MOST_CELLS // (max(len(given_columns(frame, response)), 1) * FEWEST_ROWS * POINTS)
    return max(1, min(MOST_FEATURES, affordable))


def points_of(feature: Column, values: Sequence[str]) -> list[str]:
    """The values that a feature is set to: its most frequent levels, or numbers from its lowest to its highest."""
    if feature.levels:
        counts = Counter(value for value in values if value != "")
        common = {level for level, _count in counts.most_common(MOST_LEVELS)}
        return [level for level in feature.levels if level in common] or [feature.levels[0]]
    numbers = sorted({found for found in map(number, values) if found is not None})
    if len(numbers) <= POINTS:
        return [_written(feature, value) for value in numbers] or ["0"]
    return [_written(feature, float(value)) for value in np.linspace(numbers[0], numbers[-1], POINTS)]


def changed(
    rows: Sequence[dict[str, str]], features: Sequence[Column], grid: Sequence[Sequence[str]]
) -> Iterator[dict[str, str]]:
    """Every row with each feature at each of its points, all else as it is."""
    for feature, points in zip(features, grid, strict=True):
        for point in points:
            for row in rows:
                yield {**row, feature.name: point}


def _written(feature: Column, value: float) -> str:
    return str(round(value)) if feature.kind == "time" else repr(value)


def _value(feature: Column, point: str) -> JsonValue:
    if feature.levels:
        return point
    return datetime.fromtimestamp(float(point) / 1000, UTC).isoformat() if feature.kind == "time" else float(point)
