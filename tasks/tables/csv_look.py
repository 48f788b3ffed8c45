"""What the columns of a CSV file look like."""

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tasks.tables.column_facts import FOREIGN_NUMBER, MISSING, FeaturePass
from tasks.tables.csv_rows import CsvRows, Layout
from tasks.tables.schema import MOST_COLUMNS, TableColumn
from tasks.tables.type_guess import GUESSED_FROM_BYTES, TypeGuess

_EXAMPLES = 3
_EXAMPLES_FROM_ROWS = 1000
_EXAMPLE_CHARACTERS = 60
# Two numbers and a year, in an order that H2O doesn't read: 24.12.2026, and what ISO 8601 puts between date and time.
_FOREIGN_TIME = r"^([0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2}([0-9]{2})?|[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2})([ T].*)?$"


@dataclass
class _Seen:
    """One column so far."""

    guess: TypeGuess = field(default_factory=TypeGuess)
    missing: int = 0
    examples: list[str] = field(default_factory=list)


class ColumnsPass:
    """Looks through the first columns, part by part: what they are taken for, what is missing, what is in them."""

    def __init__(self, layout: Layout) -> None:
        self._columns = layout.columns[:MOST_COLUMNS]
        self._texts = FeaturePass(self._columns)
        self._seen = [_Seen() for _ in self._columns]
        self._left_bytes = GUESSED_FROM_BYTES

    @property
    def rows(self) -> int:
        return self._texts.rows

    def see(self, parts: list[pa.Array]) -> None:
        guessed_from = self._rows_to_guess_from(parts)
        for seen, part in zip(self._seen, parts[: len(self._seen)], strict=True):
            if not self.rows:
                seen.examples = _examples(part.slice(0, _EXAMPLES_FROM_ROWS))
            if guessed_from:
                seen.guess.see(part.slice(0, guessed_from))
            seen.missing += pc.sum(pc.is_in(pc.utf8_trim_whitespace(part), value_set=MISSING)).as_py() or 0
        self._texts.see(parts[: len(self._seen)])

    def _rows_to_guess_from(self, parts: list[pa.Array]) -> int:
        """As many as H2O would read of these."""
        if self._left_bytes <= 0:
            return 0
        rows = len(parts[0])
        # In memory a value has an offset of four bytes, in the file a separator.
        size = sum(part.nbytes for part in parts) - 3 * rows * len(parts)
        share = min(1.0, self._left_bytes / max(1, size))
        self._left_bytes -= size
        return max(1, int(rows * share))

    @property
    def columns(self) -> list[TableColumn]:
        return [
            TableColumn(
                name=name,
                type=seen.guess.type,
                missing_share=round(seen.missing / max(1, self.rows), 4),
                examples=seen.examples,
                note=self._note(name, seen.guess, seen.examples),
            )
            for name, seen in zip(self._columns, self._seen, strict=True)
        ]

    def _note(self, name: str, guess: TypeGuess, examples: list[str]) -> str | None:
        if name not in self._texts.texts or guess.type == "time":
            return None
        # Its line would take another pass through the file where there are quotes.
        row, text = self._texts.texts[name]
        if name in self._texts.decimal_commas:
            return f"{text!r} in row {row} is a number with a comma, which H2O takes for a text; write 1234.5."
        if guess.type == "numeric":
            return (
                f"{text[:_EXAMPLE_CHARACTERS]!r} in row {row} is no number and will count as missing; set the "
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
    seen = CsvRows(path, role, layout).read(lambda: ColumnsPass(layout))
    return seen.rows, seen.columns


def _examples(part: pa.Array) -> list[str]:
    present = part.filter(pc.invert(pc.is_in(pc.utf8_trim_whitespace(part), value_set=MISSING)))
    return [text[:_EXAMPLE_CHARACTERS] for text in present.unique().slice(0, _EXAMPLES).to_pylist()]


def _all_match(texts: list[str], pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(pa.array(texts), pattern)).as_py())
