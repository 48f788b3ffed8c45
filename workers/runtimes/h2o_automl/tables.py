"""Tables and artifact names: everything that a job shows as a picture is kept as the table it was drawn from."""

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from workers.runtimes.h2o_automl.keys import AUTOML_TAG, JOB_TAG

MOST_SLUG_CHARACTERS = 60
# What the runs of a job have in common of their tags.
_SHARED = re.compile(r"_(AutoML_\d+_(?=\d{8}_)|job_[0-9a-f]{32}_(?=r\d))")


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


def short_models(model_ids: Sequence[str]) -> list[str]:
    """Their short ids, with the AutoML's date or the job's run where models of several runs share one."""
    short = Counter(map(short_model, model_ids))
    return [
        short_model(model_id) if short[short_model(model_id)] == 1 else _SHARED.sub("_", model_id)
        for model_id in model_ids
    ]


def truncated(text: str, length: int = 34) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
