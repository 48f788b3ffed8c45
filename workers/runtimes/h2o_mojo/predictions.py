"""Predictions of a whole table, written part by part."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from workers.runtimes.h2o_mojo.model import MojoModel, Scored

MEDIA_TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


class PredictionFile:
    """A file with the columns that H2O's own predictions have: ``predict``, and each class's name; then
    ``contribution_`` with each feature's."""

    def __init__(
        self, path: Path, form: Literal["csv", "parquet"], model: MojoModel, contributions: Sequence[str]
    ) -> None:
        self._classes = model.classes
        self._contributions = len(contributions)
        names = [*map(_column, model.classes), *(f"contribution_{name}" for name in contributions)]
        answer = pa.string() if model.classes else pa.float64()
        self._schema = pa.schema([("predict", answer), *((name, pa.float64()) for name in names)])
        self._writer = (pacsv.CSVWriter if form == "csv" else pq.ParquetWriter)(path, self._schema)

    def write(self, scored: Sequence[Scored]) -> None:
        answers = [self._classes[int(one.answer)] if self._classes else one.answer for one in scored]
        columns = [pa.array(answers, self._schema.field(0).type)]
        columns += [pa.array([one.probabilities[index] for one in scored]) for index in range(len(self._classes))]
        columns += [pa.array([one.contributions[index] for one in scored]) for index in range(self._contributions)]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _column(label: str) -> str:
    """H2O puts a ``p`` before a class that is a whole number (``hex.Model.makeScoringNames``)."""
    return f"p{label}" if label == "predict" or re.fullmatch(r"[+-]?[0-9]+", label) else label
