"""What models predict for rows that are made up of test rows: one upload, and one prediction for each model."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.runtimes.h2o_automl.automl_view import number
from workers.runtimes.h2o_automl.frames import remove_key, upload_table
from workers.runtimes.h2o_automl.test_frame import Column, TestFrame

# Cells of a frame of changed rows.
MOST_CELLS = 3_000_000
# What to tell the parser for a frame's column types; others are no features.
_PARSED = {"enum": "Enum", "int": "Numeric", "real": "Numeric", "time": "Time"}


def given_columns(frame: TestFrame, response: str) -> list[Column]:
    """The columns that models predict from."""
    return [column for column in frame.columns.values() if column.kind in _PARSED and column.name != response]


def predict_rows(
    frame: TestFrame,
    role: str,
    changed: Iterable[dict[str, str]],
    columns: Sequence[Column],
    models: Sequence[str],
    labels: Sequence[str | None],
    scratch: Path,
) -> npt.NDArray[np.float64]:
    """Models by rows by labels: the probability of each class in ``labels``, or for None the number; NaN where the
    model has none. ``role`` tells the frame apart from others."""
    path, key = scratch / f"{role}.csv", frame.keys.frame(role)
    write_rows(path, changed, columns)
    try:
        upload_table(
            frame.client,
            path,
            key,
            columns=[column.name for column in columns],
            separator=",",
            types={column.name: _PARSED[column.kind] for column in columns},
            missing={},
            renamed={},
            tick=_nothing,
        )
        predicted = frame.predicted(models, key, labels, scratch)
        return np.array([[[_number(text) for text in row] for row in rows] for rows in predicted])
    finally:
        path.unlink()
        remove_key(frame.client, key)


def write_rows(path: Path, rows: Iterable[dict[str, str]], columns: Sequence[Column]) -> None:
    """As CSV with every cell in quotes, or an empty class would be none."""
    names = [column.name for column in columns]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(names)
        writer.writerows([row[name] for name in names] for row in rows)


def _number(text: str) -> float:
    found = number(text)
    return float("nan") if found is None else found


def _nothing() -> None:
    """Parsing these few rows is short; a request to end is heeded after it."""
