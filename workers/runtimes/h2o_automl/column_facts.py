"""What one pass over a column tells: enough to decide what can be trained on it."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

# What H2O reads as missing (water.parser.ParseSetup and BufferedString).
MISSING_WORDS = frozenset({"", "NA", "N/A", "na", "n/a", "NaN", "nan", "null", "NULL"})
# What H2O reads as a number, without its "$5" and "5%". Python's own float() knows more: 1_000, inf, other digits.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
BOOLEAN_WORDS = frozenset({"true", "false", "True", "False", "TRUE", "FALSE"})
# Beyond this many distinct values a target is counted no further: it is no classification's.
MOST_COUNTED = 5000


@dataclass
class TargetFacts:
    """A target column, value by value. ``counts`` ends at ``MOST_COUNTED`` distinct values.

    ``words`` are those for missing values. Among numbers they mean that; among texts H2O takes them for classes.
    """

    present: int = 0
    missing: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    numeric: bool = True
    whole: bool = True
    lowest: float = float("inf")
    highest: float = float("-inf")
    first_text: tuple[int, str] | None = None

    def see(self, text: str, line: int) -> None:
        """Take in one value of a text file; ``line`` is where it stands, for messages."""
        # H2O leaves out spaces before a value, and keeps those after it in a class.
        value = text.lstrip()
        if not value:
            self.missing += 1
            return
        if value.rstrip() in MISSING_WORDS:
            self.words[value] += 1
            return
        self.present += 1
        if len(self.counts) < MOST_COUNTED or value in self.counts:
            self.counts[value] += 1
        number = float(value) if _NUMBER.fullmatch(value.rstrip()) else math.inf
        if math.isfinite(number):
            self._see_number(number)
        else:
            self.numeric = self.whole = False
            self.first_text = self.first_text or (line, value)

    def settle(self) -> None:
        """Decide what the words for missing values mean, once all values were seen."""
        if self.numeric:
            self.missing += self.words.total()
        else:
            self.present += self.words.total()
            self.counts.update(self.words)

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
    order mark, which H2O would take for a part of the first column's name. ``texts`` has line and value of the first
    text in each column with any, where that was looked for.
    """

    columns: tuple[str, ...]
    rows: int
    separator: str | None
    target: TargetFacts
    varying: frozenset[str]
    marked: bool = False
    texts: Mapping[str, tuple[int, str]] = field(default_factory=dict)


def is_text(value: str) -> bool:
    """Whether a feature's value is neither missing nor a number."""
    try:
        float(value)
    except ValueError:
        return value.strip() not in MISSING_WORDS
    return False
