"""How the leader's prediction changes with one feature, all else as it is in the test rows."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import JsonValue

from workers.runtimes.h2o_automl.automl_view import number
from workers.runtimes.h2o_automl.client import LONG_READ_SECONDS, Json, path_part
from workers.runtimes.h2o_automl.frames import await_job, remove_key
from workers.runtimes.h2o_automl.tables import Table
from workers.runtimes.h2o_automl.test_frame import Column, TestFrame

POINTS = 20
MOST_LEVELS = 30
MOST_CLASSES = 7


def partial_dependence(frame: TestFrame, model_id: str, feature: Column, classes: Sequence[str]) -> Table:
    """The table of one feature: for each of its values the mean prediction, its spread and its standard error.

    ``classes`` are those whose probability is asked for when there are more than two; empty otherwise. Of an enum with
    many levels, the most frequent are taken.
    """
    key = frame.keys.frame("partial_dependence")
    request = _request(frame, model_id, feature, classes, key)
    answer = frame.client.post("/3/PartialDependence/", request, read_seconds=LONG_READ_SECONDS)
    try:
        await_job(frame.client, answer["key"]["name"], _nothing)
        tables = frame.client.get(f"/3/PartialDependence/{path_part(key)}")["partial_dependence_data"]
    finally:
        remove_key(frame.client, key)
    rows: list[list[JsonValue]] = []
    labels: Sequence[str | None] = classes or [None]
    for table, label in zip(tables, labels, strict=True):
        rows.extend([label, *row] for row in _rows(table, feature))
    return Table(
        f"Partial dependence on {feature.name}",
        f"Mean prediction of {model_id} over {frame.sampled_rows} test rows when {feature.name} is set to each value.",
        ["class", feature.name, "mean_response", "stddev_response", "std_error_mean_response"],
        rows,
    )


def explained_classes(frame: TestFrame, target: str) -> list[str]:
    """The classes whose probabilities are shown: all, or the most frequent where they are many."""
    levels = frame.columns[target].levels
    if len(levels) <= MOST_CLASSES:
        return list(levels)
    counts = Counter(dict(zip(levels, frame.level_counts(target), strict=True)))
    return [label for label, _ in counts.most_common(MOST_CLASSES)]


def _request(frame: TestFrame, model_id: str, feature: Column, classes: Sequence[str], key: str) -> dict[str, str]:
    request = {
        "model_id": model_id,
        "frame_id": frame.sample,
        "destination_key": key,
        "cols": json.dumps([feature.name], ensure_ascii=False),
        # H2O refuses an enum with more levels than there are points.
        "nbins": str(max(POINTS, len(feature.levels))),
    }
    if classes:
        request["targets"] = json.dumps(list(classes), ensure_ascii=False)
    if len(feature.levels) > MOST_LEVELS:
        counts = frame.level_counts(feature.name)
        frequent = sorted(range(len(counts)), key=lambda level: -counts[level])[:MOST_LEVELS]
        request["user_cols"] = request["cols"]
        request["user_splits"] = json.dumps(frequent)
        request["num_user_splits"] = json.dumps([len(frequent)])
    return request


def _rows(table: Json, feature: Column) -> list[list[JsonValue]]:
    values, *responses = table["data"]
    return [
        [_value(value, feature), *(number(response) for response in row)]
        for value, *row in zip(values, *responses, strict=True)
    ]


def _value(value: object, feature: Column) -> JsonValue:
    if feature.levels:
        return str(value)
    found = number(value)
    if feature.kind == "time" and found is not None:
        return datetime.fromtimestamp(found / 1000, UTC).isoformat()
    return found


def _nothing() -> None:
    """One feature is short; a request to end is heeded after it."""
