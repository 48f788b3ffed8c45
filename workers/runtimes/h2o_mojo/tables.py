"""Reads tables part by part, as the columns that a model wants."""

import csv
import gzip
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from tasks.errors import InvalidInput
from tasks.scoring import Cell
from tasks.tables.csv_table import SEPARATORS
from tasks.tables.formats import is_parquet

_BLOCK_BYTES = 1 << 20
_BATCH_ROWS = 10_000
_LONGEST_HEADER_CHARACTERS = 1 << 20
_SHOWN_COLUMNS = 20

# Columns in the order that was asked for, and the share of the table that has been read.
Part = tuple[list[pa.Array], float]


def read_rows(rows: Sequence[dict[str, Cell]], features: Sequence[str], target: str | None) -> Iterator[Part]:
    """The rows as one part, as texts. Raises ``InvalidInput`` for a column that a row lacks, or that nobody knows."""
    known = {*features, *([target] if target is not None else [])}
    for number, row in enumerate(rows, start=1):
        for name in features:
            if name not in row:
                raise InvalidInput(f"Row {number} has no {name!r}, which the model needs; write null if it is missing.")
        for name in row:
            if name not in known:
                raise InvalidInput(f"Row {number} has {name!r}, which the model doesn't know; {_shown(features)}")
    yield [pa.array([_text(row[name]) for row in rows], pa.string()) for name in features], 1.0


def read_file(path: Path, features: Sequence[str]) -> Iterator[Part]:
    """A CSV or Parquet file. Raises ``InvalidInput`` that says what is wrong with it."""
    if not path.is_file():
        raise InvalidInput("The file of the dataset is no longer in the store; upload it again.")
    yield from (_read_parquet if is_parquet(path) else _read_csv)(path, features)


def _read_parquet(path: Path, features: Sequence[str]) -> Iterator[Part]:
    try:
        with pq.ParquetFile(path) as file:
            _require(file.schema_arrow.names, features)
            total, read = max(file.metadata.num_rows, 1), 0
            for batch in file.iter_batches(_BATCH_ROWS, columns=list(features)):
                read += batch.num_rows
                yield [batch.column(name) for name in features], read / total
    except (pa.ArrowException, OSError) as exc:
        raise InvalidInput("The dataset can't be read as Parquet; it is damaged or incomplete.") from exc


def _read_csv(path: Path, features: Sequence[str]) -> Iterator[Part]:
    with _refusals(), path.open("rb") as raw:
        separator, columns, skipped = _header(path, features)
        _require(columns, features)
        total = max(path.stat().st_size, 1)
        # Columns that nobody asked for may have any name, even one twice.
        names = [name if name in features else f"{name} {number}" for number, name in enumerate(columns)]
        reader = pacsv.open_csv(
            _unpacked(raw),
            pacsv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES, column_names=names, skip_rows=skipped),
            pacsv.ParseOptions(delimiter=separator, newlines_in_values=True),
            pacsv.ConvertOptions(
                include_columns=list(features),
                column_types={name: pa.string() for name in features},
                strings_can_be_null=False,
            ),
        )
        for batch in reader:
            yield [batch.column(name) for name in features], min(raw.tell() / total, 1.0)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except pa.ArrowInvalid as exc:
        said = str(exc).split(":", 1)[-1].strip()[:200]
        raise InvalidInput(f"The dataset can't be read as CSV: {said}") from exc
    except UnicodeDecodeError as exc:
        raise InvalidInput(
            "The dataset isn't UTF-8 text; set encoding to what it was saved in, such as windows-1252."
        ) from exc
    except (gzip.BadGzipFile, EOFError, csv.Error) as exc:
        raise InvalidInput("The dataset can't be unpacked or has a broken header line; upload it again.") from exc


def _unpacked(raw: IO[bytes]) -> IO[bytes]:
    magic = raw.read(2)
    raw.seek(0)
    return gzip.GzipFile(fileobj=raw) if magic == b"\x1f\x8b" else raw  # type: ignore[return-value] # an IO but by name


def _header(path: Path, features: Sequence[str]) -> tuple[str, list[str], int]:
    """Separator, columns, and how many lines come before the first row."""
    with path.open("rb") as raw:
        text = io.TextIOWrapper(_unpacked(raw), encoding="utf-8-sig", newline="")
        skipped = 0
        while (line := text.readline(_LONGEST_HEADER_CHARACTERS)) and not line.strip():
            skipped += 1
    if not line:
        raise InvalidInput("The dataset is empty.")
    found = []
    for separator in SEPARATORS:
        columns = [name.lstrip() for name in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]
        found.append((sum(name in columns for name in features), len(columns), separator, columns))
    _known, _count, separator, columns = max(found, key=lambda one: one[:2])
    return separator, columns, skipped + 1


def _require(columns: Sequence[str], features: Sequence[str]) -> None:
    counts = Counter(columns)
    missing = [name for name in features if not counts[name]]
    if missing:
        raise InvalidInput(
            f"The dataset lacks {_listed(missing)}, which the model needs; its columns: {_listed(columns)}."
        )
    twice = [name for name in features if counts[name] > 1]
    if twice:
        raise InvalidInput(f"The dataset has more than one column {twice[0]!r}; rename one of them.")


def _text(cell: Cell) -> str | None:
    """As the cell would stand in a CSV file."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return None if cell is None else str(cell)


def _shown(features: Sequence[str]) -> str:
    return f"it predicts from {_listed(features)}."


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:_SHOWN_COLUMNS])
    return shown + (f" and {len(names) - _SHOWN_COLUMNS} more" if len(names) > _SHOWN_COLUMNS else "")
