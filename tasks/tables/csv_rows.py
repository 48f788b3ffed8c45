"""Reads the rows of a CSV file, fast where that is safe, and says in which lines they don't fit the header."""

import csv
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from tasks.errors import InvalidInput
from tasks.tables.column_facts import FeaturePass, TargetFacts
from tasks.tables.csv_bytes import (
    EndedBytes,
    WatchedBytes,
    line_until,
    look_through,
    open_bytes,
    refuse_bad_byte,
    text_lines,
)

# The longest line that the quick reader takes, and the longest field of all.
_BLOCK_BYTES = 16 << 20
_MOST_RAGGED = 10_000
_BATCH_FIELDS = 1_000_000
# No text holds one, so it is found in the last field only if a quote before it was never closed.
_END = "\x00"


@dataclass(frozen=True)
class Layout:
    """How a file is to be read; ``leading_blank`` says that its header isn't in the first line, and ``marked`` that it
    begins with a byte order mark."""

    columns: tuple[str, ...]
    separator: str
    leading_blank: bool
    marked: bool = False


class RowPass(Protocol):
    """What looks at the rows of a file; ``rows`` counts those that it was shown."""

    @property
    def rows(self) -> int: ...

    def see(self, parts: list[pa.Array]) -> None:
        """Take in the next rows, column by column."""


_Pass = TypeVar("_Pass", bound=RowPass)


class TrainingPass:
    """What the rows tell of a target and of the columns beside it."""

    def __init__(self, layout: Layout, target: str | None, *, classes: frozenset[str] | None) -> None:
        self.target = TargetFacts(known=classes)
        self.features = FeaturePass(layout.columns, target)
        self._target_index = None if target is None else layout.columns.index(target)

    @property
    def rows(self) -> int:
        return self.features.rows

    def see(self, parts: list[pa.Array]) -> None:
        if self._target_index is not None:
            self.target.see(parts[self._target_index], self.rows)
        self.features.see(parts)


class _Comments:
    """Passes rows on, and notes the first that begins with #."""

    def __init__(self, rows: RowPass) -> None:
        self.first: int | None = None
        self._rows = rows

    def see(self, parts: list[pa.Array]) -> None:
        if self.first is None:
            index = pc.index(pc.starts_with(pc.utf8_ltrim(parts[0], " "), "#"), True).as_py()
            self.first = None if index < 0 else self._rows.rows + index + 1
        self._rows.see(parts)


@dataclass
class _Ragged:
    """Records with another number of fields than the header, which is record 1."""

    first: tuple[int, int] | None = None
    count: int = 0

    def add(self, record: int, fields: int) -> None:
        self.first = self.first or (record, fields)
        self.count += 1

    @property
    def too_many(self) -> bool:
        return self.count > _MOST_RAGGED


class CsvRows:
    """The rows of one file."""

    def __init__(self, path: Path, role: str, layout: Layout) -> None:
        self._path = path
        self._role = role
        self._layout = layout
        self._watched: WatchedBytes | None = None

    def read(self, begin: Callable[[], _Pass]) -> _Pass:
        """Show all rows to what ``begin`` makes, which it may have to do twice, and answer that.

        Raises ``InvalidInput`` that names the first line where they aren't what they should be.
        """
        watched = self._watched = look_through(self._path, self._role, self._layout.separator)
        if watched.bad_byte is not None:
            columns = self._layout.columns
            raise refuse_bad_byte(self._path, self._role, watched.bad_byte, self._layout.separator, columns)
        if watched.odd_quotes:
            self._require_clean_quotes()
        seen, ragged = begin(), _Ragged()
        comments = _Comments(seen)
        quickly = not (watched.late_quotes or self._layout.leading_blank) and self._read_quickly(comments, ragged)
        # Where there are quotes, a line that ends with a bare carriage return may have been counted otherwise.
        if not quickly or (ragged.first is not None and watched.first_quote is not None):
            self._require_clean_quotes()
            seen, ragged = begin(), _Ragged()
            comments = _Comments(seen)
            self._read_exactly(comments, ragged)
        if ragged.first is not None:
            raise self._refuse(*ragged.first, ragged)
        if watched.marked_lines and comments.first is not None:
            raise InvalidInput(
                f"{self.place(comments.first).capitalize()} of the {self._role} begins with #, which H2O takes for "
                "a comment; remove the line, or let it begin otherwise."
            )
        return seen

    def line_of(self, record: int) -> int:
        """The line in which a record begins; blank lines are none. Reads the file again where that is needed."""
        watched = self._watched
        if watched is None or watched.blank_lines or self._layout.leading_blank:
            return next(line for number, (line, _row) in enumerate(self._records(), 1) if number == record)
        first, lines = self._from_first_quote()
        if watched.first_quote is None or record <= first:
            return record
        parsed = (line for number, (line, _row) in enumerate(self._parsed(lines, first), first) if number == record)
        found = next(parsed, None)
        if found is not None:
            return found
        return next(line for number, (line, _row) in enumerate(self._records(), 1) if number == record)

    def place(self, row: int) -> str:
        return f"line {self.line_of(row + 1)}"

    def _read_quickly(self, seen: _Comments, ragged: _Ragged) -> bool:
        """Whether that came to the file's end: not where a quote is never closed, and not where lines are very long."""
        ended = False
        with open_bytes(self._path, self._role) as file:
            ending = "\n" + self._layout.separator.join([_END] * len(self._layout.columns)) + "\n"
            try:
                for batch in self._batches(EndedBytes(file, ending.encode()), ragged):
                    ended = batch.num_rows > 0 and batch.column(0)[-1].as_py() == _END
                    rows = batch.slice(0, batch.num_rows - ended)
                    if rows.num_rows:
                        seen.see(rows.columns)
            except pa.ArrowInvalid:
                ended = ragged.too_many
        return ended

    def _batches(self, file: EndedBytes, ragged: _Ragged) -> Iterator[pa.RecordBatch]:
        names = [str(index) for index in range(len(self._layout.columns))]
        # One thread: with several, rows that don't fit have no number.
        yield from pa_csv.open_csv(
            pa.PythonFile(file, "r"),
            read_options=pa_csv.ReadOptions(
                use_threads=False, block_size=_BLOCK_BYTES, column_names=names, skip_rows_after_names=1
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=self._layout.separator,
                newlines_in_values=True,
                invalid_row_handler=partial(_note_ragged, ragged),
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=False
            ),
        )

    def _read_exactly(self, seen: _Comments, ragged: _Ragged) -> None:
        width = len(self._layout.columns)
        records = (row for _line, row in self._records())
        record = len(list(itertools.islice(records, 1)))
        while rows := list(itertools.islice(records, max(1, _BATCH_FIELDS // width))):
            for number, row in enumerate(rows, record + 1):
                if len(row) != width and not ragged.too_many:
                    ragged.add(number, len(row))
            record += len(rows)
            if ragged.first is None:
                seen.see([pa.array(part, pa.string()) for part in zip(*rows, strict=True)])

    def _require_clean_quotes(self) -> None:
        """Refuse a quote that is never closed, and text after a closing one, of which H2O makes a line of its own."""
        first, lines = self._from_first_quote()
        for _record in self._parsed(lines, first, strict=True):
            pass

    def _from_first_quote(self) -> tuple[int, Iterator[str]]:
        """The number of the first line with a quote, and the lines from there on: those before it need no parsing."""
        watched = self._watched
        if watched is None or watched.first_quote is None:
            return 1, text_lines(self._path, self._role)
        line, before, _byte = line_until(self._path, self._role, watched.first_quote)
        return line, text_lines(self._path, self._role, watched.first_quote - len(before))

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """All records with their first line, the header among them."""
        return self._parsed(text_lines(self._path, self._role), 1)

    def _parsed(self, lines: Iterator[str], line: int, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
        """``line`` is the number of the first one."""
        csv.field_size_limit(_BLOCK_BYTES)
        separator = self._layout.separator
        if strict:
            # Spaces after a closing quote mean nothing to H2O.
            spaces = re.compile(rf'" +(?=[{re.escape(separator)}\r\n])')
            lines = (spaces.sub('"', text) if '" ' in text else text for text in lines)
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=strict)
        begun, before = line, line - 1
        try:
            for row in reader:
                if row:
                    yield begun, row
                begun = before + reader.line_num + 1
        except csv.Error as exc:
            text_follows = "expected after" in str(exc)
            wrong = "text after a closing quote" if text_follows else "a quote that is never closed"
            advice = "; double the quotes inside of a quoted field" if text_follows else ""
            raise InvalidInput(f"Line {begun} of the {self._role} has {wrong}{advice}.") from exc

    def _refuse(self, record: int, fields: int, ragged: _Ragged) -> InvalidInput:
        others = ragged.count - 1
        many = f"more than {_MOST_RAGGED}" if ragged.too_many else str(others)
        also = f", and {many} more line{'s do' if others > 1 else ' does'}n't fit either" if others else ""
        return InvalidInput(
            f"Line {self.line_of(record)} of the {self._role} has {fields} field{'s' if fields != 1 else ''} where the "
            f"header has {len(self._layout.columns)}{also}; quote fields that contain the separator."
        )


def _note_ragged(ragged: _Ragged, row: pa_csv.InvalidRow) -> str:
    ragged.add(row.number, row.actual_columns)
    return "error" if ragged.too_many else "skip"
