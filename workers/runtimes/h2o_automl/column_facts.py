"""What one pass over a column tells: enough to decide what can be trained on it."""

from collections import Counter
from dataclasses import dataclass, field

# What H2O reads as missing (water.parser.ParseSetup and BufferedString).
MISSING_WORDS = frozenset({"", "NA", "N/A", "na", "n/a", "NaN", "nan", "null", "NULL"})
BOOLEAN_WORDS = frozenset({"true", "false", "True", "False", "TRUE", "FALSE"})
# Beyond this many distinct values a target is counted no further: it is no classification's.
MOST_COUNTED = 5000


@dataclass
class TargetFacts:
    """A target column, value by value. ``counts`` ends at ``MOST_COUNTED`` distinct values."""

    present: int = 0
    missing: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    numeric: bool = True
    whole: bool = True
    lowest: float = float("inf")
    highest: float = float("-inf")
    first_text: tuple[int, str] | None = None

    def see(self, text: str, line: int) -> None:
        """Take in one value of a text file; ``line`` is where it stands, for messages."""
        value = text.strip()
        if value in MISSING_WORDS:
            self.missing += 1
            return
        self.present += 1
        if len(self.counts) < MOST_COUNTED or value in self.counts:
            self.counts[value] += 1
        try:
            self._see_number(float(value))
        except ValueError:
            self.numeric = self.whole = False
            self.first_text = self.first_text or (line, value)

    def _see_number(self, number: float) -> None:
        self.whole = self.whole and number.is_integer()
        self.lowest = min(self.lowest, number)
        self.highest = max(self.highest, number)

    @property
    def boolean(self) -> bool:
        return bool(self.counts) and set(self.counts) <= BOOLEAN_WORDS


@dataclass(frozen=True)
class TableFacts:
    """A table that was read through.

    ``separator`` is None for Parquet; ``varying`` columns have two values or more; ``marked`` files begin with a byte
    order mark, which H2O would take for a part of the first column's name.
    """

    columns: tuple[str, ...]
    rows: int
    separator: str | None
    target: TargetFacts
    varying: frozenset[str]
    marked: bool = False
