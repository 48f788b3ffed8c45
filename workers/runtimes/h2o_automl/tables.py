"""Tables and artifact names: everything that a job shows as a picture is kept as the table it was drawn from."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from workers.runtimes.h2o_automl.keys import AUTOML_TAG, JOB_TAG

MOST_SLUG_CHARACTERS = 60


@dataclass(frozen=True)
class Table:
    """A table with named columns; ``note`` says what the numbers mean."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[JsonValue]]

    def json(self) -> bytes:
        document = {"title": self.title, "note": self.note, "columns": list(self.columns), "rows": list(self.rows)}
        return json.dumps(document, ensure_ascii=False, allow_nan=False, default=list).encode()

    def csv(self) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(["" if cell is None else cell for cell in row] for row in self.rows)
        return text.getvalue().encode()


def slug(name: str) -> str:
    """A part of an artifact's name for a column's name: unchanged if it may be, else told apart by a hash."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("_")[:MOST_SLUG_CHARACTERS]
    if plain == name:
        return plain
    return f"{plain}_{hashlib.sha256(name.encode()).hexdigest()[:8]}".lstrip("_")


def short_model(model_id: str) -> str:
    """A model's id without the AutoML's number and date, or the job's id, which all models of a leaderboard share."""
    return re.sub(f"_({AUTOML_TAG.pattern}|{JOB_TAG.pattern})", "", model_id)


def truncated(text: str, length: int = 34) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
