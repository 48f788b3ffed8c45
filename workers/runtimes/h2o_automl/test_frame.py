"""The test rows as the explanation sees them: their columns, a sample where they are many, and models' predictions."""

import csv
import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tasks.errors import ClusterLost
from workers.runtimes.h2o_automl.client import H2OClient, path_part
from workers.runtimes.h2o_automl.failures import H2OError
from workers.runtimes.h2o_automl.frames import await_job, frame_columns, remove_key, row_count, split_frame
from workers.runtimes.h2o_automl.keys import RunKeys

# Partial dependence scores all rows once per point; beyond this many the curves only get slower.
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

    def predictions(self, model_id: str, scratch: Path) -> list[str]:
        """What a model predicts for the sample's rows: labels, or numbers as text."""
        return self._first_column(model_id, scratch)

    def level_counts(self, column: str) -> list[int]:
        """How many of the sample's rows have each level of an enum column."""
        path = f"/3/Frames/{path_part(self.sample)}/columns/{quote(column, safe='')}/summary"
        summary = self.client.get(path)["frames"][0]["columns"][0]
        counts = [int(count) for count in summary["histogram_bins"] or ()]
        return counts + [0] * (len(self.columns[column].levels) - len(counts))

    def values(self, column: str, scratch: Path) -> list[str]:
        """The sample's values of one column, as text."""
        return [row[column] for row in self._downloaded(self.sample, scratch)]

    def rows_of(self, key: str, scratch: Path, *, every: int = 1) -> list[dict[str, str]]:
        """Every row whose number is a multiple of ``every``, of any frame, as text by column."""
        return list(itertools.islice(self._downloaded(key, scratch), 0, None, every))

    def step_for(self, most: int) -> int:
        """``every`` for at most so many of the sample's rows."""
        return max(1, -(-self.sampled_rows // most))

    def _downloaded(self, key: str, scratch: Path) -> Iterator[dict[str, str]]:
        """The rows of a frame one by one: a wide one takes far more memory as text than as a file."""
        target = scratch / "rows.csv"
        self.client.download("/3/DownloadDataset", target, params={"frame_id": key, "hex_string": "false"})
        try:
            with target.open(encoding="utf-8", newline="") as file:
                yield from csv.DictReader(file)
        finally:
            target.unlink()

    def _first_column(self, model_id: str, scratch: Path) -> list[str]:
        predicted = self.keys.frame("prediction")
        path = f"/4/Predictions/models/{path_part(model_id)}/frames/{path_part(self.sample)}"
        job = self.client.post(path, {"predictions_frame": predicted})
        await_job(self.client, job["key"]["name"], _nothing)
        target = scratch / "prediction.csv"
        self.client.download("/3/DownloadDataset", target, params={"frame_id": predicted, "hex_string": "false"})
        remove_key(self.client, predicted)
        with target.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            next(reader)
            found = [row[0] for row in reader]
        target.unlink()
        return found


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
