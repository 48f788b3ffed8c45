"""Looks at a file as training would, within bounds: its columns and their types, or what is wrong with it."""

import itertools
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tasks.errors import InvalidInput
from tasks.tables.csv_bytes import is_gzip, open_bytes
from tasks.tables.csv_look import look_at_rows
from tasks.tables.csv_table import read_layout, refusing
from tasks.tables.encodings import as_utf8, encoding_of
from tasks.tables.formats import is_parquet
from tasks.tables.parquet_look import look_at_parquet
from tasks.tables.schema import MOST_COLUMNS, TableColumn, TableSchema

# What a job would call the file.
_ROLE = "dataset"
# Of a larger file, unpacked, only the beginning is looked at, which takes about a second.
WHOLE_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 20
# Characters, of a sentence and of all columns' names.
_MOST_CHARACTERS = 2000
_MOST_NAMES = 200_000
_EMPTY = {"rows": 0, "rows_are_exact": True, "column_count": 0, "columns": []}


def look_at(path: Path) -> TableSchema:
    """``problem`` is what a job would say that can't read the file."""
    found: dict[str, Any] = {"format": "parquet" if is_parquet(path) else "csv", **_EMPTY}
    try:
        with TemporaryDirectory(prefix="turnout-look-") as directory, refusing(_ROLE):
            if found["format"] == "parquet":
                look_at_parquet(path, _ROLE, found)
            else:
                _look_at_text(path, Path(directory), found)
        if not found["rows"]:
            found["problem"] = f"The {_ROLE} has a header but no rows."
    except InvalidInput as exc:
        found["problem"] = str(exc)[:_MOST_CHARACTERS]
    return TableSchema.model_validate({**found, "columns": _shown(found["columns"])})


def _shown(columns: list[TableColumn]) -> list[TableColumn]:
    """As many as make an answer that is not too long for anyone."""
    lengths = itertools.accumulate(len(column.name) for column in columns)
    return [column for column, length in zip(columns, lengths, strict=True) if length <= _MOST_NAMES][:MOST_COLUMNS]


def _look_at_text(path: Path, directory: Path, found: dict[str, Any]) -> None:
    """Note one after the other what is found, as far as that goes."""
    found["compression"] = "gzip" if is_gzip(path) else None
    beginning, whole = _beginning(path, directory)
    found["encoding"] = encoding_of(beginning, _ROLE)
    text = as_utf8(beginning, _ROLE, "auto", directory, cut_off=not whole)
    if not whole:
        text = _whole_lines(text, directory)
        found["rows_are_exact"] = False
    layout = read_layout(text, _ROLE)
    found |= {"separator": layout.separator, "column_count": len(layout.columns)}
    found["rows"], found["columns"] = look_at_rows(text, _ROLE, layout)


def _beginning(path: Path, directory: Path) -> tuple[Path, bool]:
    """The file, or its beginning, unpacked, and whether that is all of it."""
    if not is_gzip(path) and path.stat().st_size <= WHOLE_BYTES:
        return path, True
    copy, left = directory / "beginning", WHOLE_BYTES
    with open_bytes(path, _ROLE) as source, copy.open("wb") as target:
        while left and (chunk := source.read(min(left, _CHUNK_BYTES))):
            target.write(chunk)
            left -= len(chunk)
        return copy, not source.read(1)


def _whole_lines(path: Path, directory: Path) -> Path:
    """A copy that ends with a line, and as far as the number of quotes tells not within them."""
    content = path.read_bytes()
    end = b"\n" if b"\n" in content[:_CHUNK_BYTES] else b"\r"
    last = cut = content.rfind(end)
    quotes = content.count(b'"', 0, last + 1)
    while quotes % 2 and cut > last - _CHUNK_BYTES:
        before = content.rfind(end, 0, cut)
        quotes -= content.count(b'"', before + 1, cut + 1)
        cut = before
    copy = directory / "lines"
    copy.write_bytes(content[: (last if quotes % 2 else cut) + 1])
    return copy
