"""What the columns of a CSV file look like."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tasks.tables.column_facts import FOREIGN_NUMBER, MISSING, FeaturePass
from tasks.tables.csv_rows import CsvRows, Layout
from tasks.tables.schema import TableColumn
from tasks.tables.type_guess import GUESSED_FROM_BYTES, TypeGuess

_EXAMPLES = 3
_EXAMPLES_FROM_ROWS = 1000
_EXAMPLE_CHARACTERS = 60
# Two numbers and a year, in an order that H2O doesn't read: 24.12.2026, and what ISO 8601 puts between date and time.
_FOREIGN_TIME = r"^([0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2}([0-9]{2})?|[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2})([ T].*)?$"


class ColumnsPass:
    """Looks through all columns, part by part: what they are taken for, what is missing, what is in them."""

    def __init__(self, layout: Layout) -> None:
        self._columns = layout.columns
        self._texts = FeaturePass(layout.columns)
        self._guesses = [TypeGuess() for _ in layout.columns]
        self._missing = [0 for _ in layout.columns]
        self._examples: list[list[str]] = [[] for _ in layout.columns]
        self._left_bytes = GUESSED_FROM_BYTES

    @property
    def rows(self) -> int:
        return self._texts.rows

    def see(self, parts: list[pa.Array]) -> None:
        if not self.rows:
            self._examples = [_examples(part.slice(0, _EXAMPLES_FROM_ROWS)) for part in parts]
        if self._left_bytes > 0:
            share = min(1.0, self._left_bytes / max(1, sum(part.nbytes for part in parts)))
            self._left_bytes -= sum(part.nbytes for part in parts)
            for guess, part in zip(self._guesses, parts, strict=True):
                guess.see(part.slice(0, max(1, int(len(part) * share))))
        for index, part in enumerate(parts):
            found = pc.is_in(pc.utf8_trim_whitespace(part), value_set=MISSING)
            self._missing[index] += pc.sum(found).as_py() or 0
        self._texts.see(parts)

    def columns(self, rows: CsvRows) -> list[TableColumn]:
        """``rows`` are those that were seen."""
        return [
            TableColumn(
                name=name,
                type=guess.type,
                missing_share=round(missing / max(1, self.rows), 4),
                examples=examples,
                note=self._note(name, guess, examples, rows),
            )
            for name, guess, missing, examples in zip(
                self._columns, self._guesses, self._missing, self._examples, strict=True
            )
        ]

    def _note(self, name: str, guess: TypeGuess, examples: list[str], rows: CsvRows) -> str | None:
        if name not in self._texts.texts or guess.type == "time":
            return None
        row, text = self._texts.texts[name]
        if name in self._texts.decimal_commas:
            return f"{text!r} in {rows.place(row)} is a number with a comma, which H2O takes for a text; write 1234.5."
        if guess.type == "numeric":
            return (
                f"{text[:_EXAMPLE_CHARACTERS]!r} in {rows.place(row)} is no number and will count as missing; set the "
                "type to enum if the values are categories."
            )
        if examples and _all_match(examples, _FOREIGN_TIME):
            return "H2O doesn't read times written like this; write 2026-12-24 or 2026-12-24 10:30:00."
        if examples and _all_match(examples, FOREIGN_NUMBER):
            return "H2O takes numbers written like this for texts; write 1234.5, with a point and no other signs."
        if guess.type == "string":
            return (
                "Nearly every row has a text of its own, from which no model learns; set the type to enum if it should."
            )
        return None


def look_at_rows(path: Path, role: str, layout: Layout) -> tuple[int, list[TableColumn]]:
    """How many rows there are, and the columns. Raises ``InvalidInput`` for the first line that can't be read."""
    rows = CsvRows(path, role, layout)
    seen = rows.read(lambda: ColumnsPass(layout))
    return seen.rows, seen.columns(rows)


def _examples(part: pa.Array) -> list[str]:
    present = part.filter(pc.invert(pc.is_in(pc.utf8_trim_whitespace(part), value_set=MISSING)))
    return [text[:_EXAMPLE_CHARACTERS] for text in present.unique().slice(0, _EXAMPLES).to_pylist()]


def _all_match(texts: list[str], pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(pa.array(texts), pattern)).as_py())
