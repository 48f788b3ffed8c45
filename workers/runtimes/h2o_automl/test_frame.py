"""The test rows as the explanation sees them: their columns, a sample where they are many, and models' predictions."""

import csv
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tasks.errors import ClusterLost
from workers.runtimes.h2o_automl.client import LONG_READ_SECONDS, H2OClient, path_part
from workers.runtimes.h2o_automl.failures import H2OError
from workers.runtimes.h2o_automl.frames import await_job, frame_columns, remove_key, row_count, split_frame
from workers.runtimes.h2o_automl.keys import RunKeys

# Every model predicts them all; beyond this many the pictures only get slower.
MOST_EXPLAINED_ROWS = 5000
SAMPLE_SEED = 1


@dataclass(frozen=True)
class Column:
    """``kind`` is H2O's type: real, int, enum, time, string, …; ``levels`` are an enum's."""

    name: str
    kind: str
    levels: tuple[str, ...]


@dataclass(frozen=True)
class TestFrame:
    """``key`` has all test rows, ``sample`` at most about ``MOST_EXPLAINED_ROWS`` of them."""

    client: H2OClient
    keys: RunKeys
    key: str
    sample: str
    sampled_rows: int
    columns: dict[str, Column]

    def predictions(self, models: Sequence[str], scratch: Path) -> list[list[str]]:
        """What each model predicts for the sample's rows: labels, or numbers as text."""
        return [[row[0] for row in rows] for rows in self.predicted(models, self.sample, [None], scratch)]

    def predicted(
        self, models: Sequence[str], key: str, labels: Sequence[str | None], scratch: Path
    ) -> list[list[list[str]]]:
        """Models by rows by labels: a class's probability, or for None the prediction, as text.

        All models are asked before the first is waited for, so that the cluster is never idle.
        """
        asked = {f"{key}_predicted_{place}": model_id for place, model_id in enumerate(models)}
        jobs: dict[str, str] = {}
        try:
            for predicted, model_id in asked.items():
                path = f"/4/Predictions/models/{path_part(model_id)}/frames/{path_part(key)}"
                began = self.client.post(path, {"predictions_frame": predicted}, read_seconds=LONG_READ_SECONDS)
                jobs[predicted] = began["key"]["name"]
            found = []
            for predicted, job in jobs.items():
                await_job(self.client, job, _nothing)
                found.append(self._answers(predicted, labels, scratch))
            return found
        finally:
            for predicted in jobs:
                remove_key(self.client, predicted)

    def _answers(self, key: str, labels: Sequence[str | None], scratch: Path) -> list[list[str]]:
        with self._lines(key, scratch) as lines:
            header = next(lines)
            places = [header.index("predict" if label is None else class_column(header, label)) for label in labels]
            return [[line[place] for place in places] for line in lines]

    def level_counts(self, column: str) -> list[int]:
        """How many of the sample's rows have each level of an enum column."""
        path = f"/3/Frames/{path_part(self.sample)}/columns/{quote(column, safe='')}/summary"
        summary = self.client.get(path)["frames"][0]["columns"][0]
        counts = [int(count) for count in summary["histogram_bins"] or ()]
        return counts + [0] * (len(self.columns[column].levels) - len(counts))

    def values(self, columns: Sequence[str], scratch: Path) -> list[list[str]]:
        """The sample's values of these columns, as text, row by row."""
        with self._lines(self.sample, scratch) as lines:
            header = next(lines)
            places = [header.index(column) for column in columns]
            return [[line[place] for place in places] for line in lines]

    def rows_of(self, key: str, scratch: Path, *, every: int = 1) -> list[dict[str, str]]:
        """Every row whose number is a multiple of ``every``, of any frame, as text by column."""
        with self._lines(key, scratch) as lines:
            header = next(lines)
            return [dict(zip(header, line, strict=True)) for line in itertools.islice(lines, 0, None, every)]

    def spread(self, most: int) -> range:
        """The numbers of at most so many of the sample's rows, evenly spread."""
        return range(0, self.sampled_rows, self.step_for(most))

    def step_for(self, most: int) -> int:
        """``every`` for at most so many of the sample's rows."""
        return max(1, -(-self.sampled_rows // most))

    @contextmanager
    def _lines(self, key: str, scratch: Path) -> Iterator[Iterator[list[str]]]:
        """The header and the rows of a frame one by one: a wide one takes far more memory as text than as a file."""
        target = scratch / "rows.csv"
        self.client.download("/3/DownloadDataset", target, params={"frame_id": key, "hex_string": "false"})
        try:
            with target.open(encoding="utf-8", newline="") as file:
                # A missing value in a frame of one column is an empty line.
                yield (line or [""] for line in csv.reader(file))
        finally:
            target.unlink()


def class_column(columns: Sequence[str], label: str) -> str:
    """The column of a class's probability. H2O puts a ``p`` before a class that is a whole number."""
    return label if label in columns and label != "predict" else f"p{label}"


@contextmanager
def opened_test_frame(client: H2OClient, keys: RunKeys) -> Iterator[TestFrame]:
    """The test frame with a sample of it, which is removed in the end unless it is the whole."""
    whole = keys.frame("test")
    rows = row_count(client, whole)
    columns = {
        column["label"]: Column(column["label"], column["type"], tuple(column.get("domain") or ()))
        for column in frame_columns(client, whole)
    }
    if rows <= MOST_EXPLAINED_ROWS:
        yield TestFrame(client, keys, whole, whole, rows, columns)
        return
    sample, rest = keys.frame("test_sample"), keys.frame("test_rest")
    share = MOST_EXPLAINED_ROWS / rows
    split_frame(client, whole, [(sample, share), (rest, 1 - share)], SAMPLE_SEED)
    remove_key(client, rest)
    try:
        yield TestFrame(client, keys, whole, sample, row_count(client, sample), columns)
    finally:
        # Clean-up removes it too, and its loss is no reason to lose what was explained.
        with suppress(ClusterLost, H2OError):
            remove_key(client, sample)


def _nothing() -> None:
    """A prediction is short; a request to end is heeded after it."""
