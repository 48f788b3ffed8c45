"""What one pass over a table tells: enough to decide what can be trained on it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

# What H2O reads as missing (water.parser.ParseSetup and BufferedString).
MISSING_WORDS = frozenset({"", "NA", "N/A", "na", "n/a", "NaN", "nan", "null", "NULL"})
# Beyond this many distinct values a target is counted no further: it is no classification's.
MOST_COUNTED = 5000
# 1,5 and 1.234,5 as in much of Europe, and 1,234,567 as in English.
_COMMA_NUMBER = r"^[+-]?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+|[0-9]{1,3}(,[0-9]{3})+),[0-9]+$"
# So many rows are looked at for texts before the others.
_FIRST_LOOK_ROWS = 100

MISSING = pa.array(sorted(MISSING_WORDS))
# What H2O reads as a number, without its "$5" and "5%".
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
# With those, which it drops.
ADORNED_NUMBER = r"^\$?[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?%?$"
ADORNMENTS = r"^\$?\+?|%$"
# Numbers as people and spreadsheets write them, which H2O takes for texts: 1,5 and 1.234,5 and 1 234 and €5.
FOREIGN_NUMBER = r"^[€$£]? ?[+-]?[0-9]+([ .,'\x{2019}\x{a0}\x{202f}][0-9]+)* ?[€$£%]?$"


@dataclass
class TargetFacts:
    """A target column. ``counts`` ends at ``MOST_COUNTED`` distinct values.

    ``words`` are those for missing values. Among numbers they mean that; among texts H2O takes them for classes.
    ``numbers`` counts the values that are one, ``foreign`` says that all others are numbers in another notation, and
    ``first_text`` is the first that is none, with its row counted from 1; ``first_unknown`` is the first that isn't one
    of the ``known`` classes.
    """

    known: frozenset[str] | None = None
    present: int = 0
    missing: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    numeric: bool = True
    whole_numbers: bool = True
    numbers: int = 0
    foreign: bool = True
    lowest: float = float("inf")
    highest: float = float("-inf")
    first_text: tuple[int, str] | None = None
    first_unknown: tuple[int, str] | None = None

    def see(self, texts: pa.Array, rows_before: int = 0) -> None:
        """Take in the next values of a text file."""
        # H2O leaves out spaces before a value, and keeps those after it in a class.
        values = pc.utf8_ltrim_whitespace(texts)
        # Distinct values, in the order in which they are first met.
        found = pc.value_counts(values)
        missing = pc.is_in(pc.utf8_rtrim_whitespace(found.field("values")), value_set=MISSING)
        for value, count in _entries(found.filter(missing)):
            if value:
                self.words[value] += count
            else:
                self.missing += count
        plain = found.filter(pc.invert(missing))
        self.count(plain)
        self.compare(plain, values, rows_before)
        no_number = self._see_numbers(plain)
        if len(no_number):
            self.numeric = False
            self.foreign = self.foreign and bool(pc.all(pc.match_substring_regex(no_number, FOREIGN_NUMBER)).as_py())
            if self.first_text is None:
                row = rows_before + pc.index(values, no_number[0]).as_py() + 1
                self.first_text = (row, no_number[0].as_py())

    def count(self, found: pa.StructArray) -> None:
        """Take in how often the next values are there: an array of ``values`` and ``counts``."""
        self.present += pc.sum(found.field("counts")).as_py() or 0
        if len(self.counts) < MOST_COUNTED:
            for value, count in _entries(found.slice(0, MOST_COUNTED)):
                self.counts[str(value)] += count

    def compare(self, found: pa.StructArray, values: pa.Array | pa.ChunkedArray, rows_before: int = 0) -> None:
        """Look for classes that aren't known among the next values, ``found`` being the distinct ones."""
        if self.known is None or self.first_unknown is not None:
            return
        for value in found.field("values"):
            if str(value) not in self.known:
                row = rows_before + pc.index(values, value).as_py() + 1
                self.first_unknown = (row, str(value))
                return

    def settle(self) -> None:
        """Decide what the words for missing values mean, once all values were seen."""
        if self.numeric:
            self.missing += self.words.total()
        else:
            self.present += self.words.total()
            self.counts.update(self.words)

    def _see_numbers(self, found: pa.StructArray) -> pa.Array:
        """Take in those of the distinct values that are numbers, and return the others."""
        trimmed = pc.utf8_rtrim_whitespace(found.field("values"))
        written = pc.if_else(pc.match_substring_regex(trimmed, NUMBER), trimmed, None)
        numbers = pc.cast(pc.replace_substring_regex(written, r"^\+", ""), pa.float64())
        # One too large for a double is none.
        finite = pc.fill_null(pc.is_finite(numbers), False)
        self.numbers += pc.sum(found.field("counts").filter(finite)).as_py() or 0
        self.see_range(numbers.filter(finite))
        return found.field("values").filter(pc.invert(finite))

    def see_range(self, numbers: pa.Array | pa.ChunkedArray) -> None:
        """Take in doubles, none of them missing."""
        if len(numbers):
            bounds = pc.min_max(numbers)
            self.lowest = min(self.lowest, bounds["min"].as_py())
            self.highest = max(self.highest, bounds["max"].as_py())
            self.whole_numbers = self.whole_numbers and bool(pc.all(pc.equal(pc.floor(numbers), numbers)).as_py())


@dataclass(frozen=True)
class TableFacts:
    """A table that was read through.

    ``separator`` is None for Parquet; ``varying`` columns have two values or more; ``marked`` files begin with a byte
    order mark, which H2O would take for a part of the first column's name. ``texts`` has row and value of the first
    text in each column beside the target with any; ``place`` says where a row stands, such as "line 7".
    ``decimal_commas`` has one of those columns whose texts are all numbers with a comma, such as 1,5.
    ``unnamed_index`` columns are a pandas index without a name, and ``fine_times`` says that there are times which H2O
    would read as plain numbers.
    """

    columns: tuple[str, ...]
    rows: int
    separator: str | None
    target: TargetFacts
    varying: frozenset[str]
    place: Callable[[int], str]
    marked: bool = False
    texts: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    decimal_commas: frozenset[str] = frozenset()
    unnamed_index: frozenset[str] = frozenset()
    fine_times: bool = False


class FeaturePass:
    """Looks through the columns beside the target, part by part: which vary, where the first texts are, and which have
    no texts but numbers with a comma."""

    def __init__(self, columns: tuple[str, ...], target: str | None = None) -> None:
        self.rows = 0
        self.texts: dict[str, tuple[int, str]] = {}
        self._columns = columns
        self._constant = [index for index, name in enumerate(columns) if name != target]
        self._textless = list(self._constant)
        self._wordless = list(self._constant)
        self._first: list[str] = []

    def see(self, parts: list[pa.Array]) -> None:
        """Take in the next rows, column by column."""
        if not self._first:
            self._first = [part[0].as_py().lstrip(" ") for part in parts]
        self._constant = [index for index in self._constant if self._is_constant(index, parts[index])]
        # Most columns of texts show it at once, and the slow look at each value then passes them over.
        for start, length in ((0, _FIRST_LOOK_ROWS), (_FIRST_LOOK_ROWS, None)):
            looked_at = [part.slice(start, length) for part in parts]
            self._find_texts(looked_at, self.rows + start)
            self._wordless = [index for index in self._wordless if self._is_wordless(index, looked_at[index])]
        self.rows += len(parts[0])

    @property
    def decimal_commas(self) -> frozenset[str]:
        names = (self._columns[index] for index in self._wordless)
        return frozenset(name for name in names if name in self.texts)

    def _is_wordless(self, index: int, part: pa.Array) -> bool:
        if self._columns[index] not in self.texts:
            return True
        texts = pc.utf8_trim_whitespace(part.filter(pc.invert(_missing_or_number(part))))
        return pc.all(pc.match_substring_regex(texts, _COMMA_NUMBER)).as_py() is not False

    def _is_constant(self, index: int, part: pa.Array) -> bool:
        first = self._first[index]
        if part[-1].as_py().lstrip(" ") != first:
            return False
        return any(pc.all(pc.equal(values, first)).as_py() for values in (part, pc.utf8_ltrim(part, " ")))

    def _find_texts(self, parts: list[pa.Array], rows_before: int) -> None:
        length = len(parts[0])
        if not length or not self._textless:
            return
        joined = pa.concat_arrays([parts[index] for index in self._textless])
        plain = _missing_or_number(joined)
        place = pc.index(plain, False).as_py()
        while place >= 0:
            position, row = divmod(place, length)
            self.texts[self._columns[self._textless[position]]] = (
                rows_before + row + 1,
                joined[place].as_py().lstrip(" "),
            )
            following = (position + 1) * length
            found = pc.index(plain.slice(following), False).as_py()
            place = found if found < 0 else following + found
        self._textless = [index for index in self._textless if self._columns[index] not in self.texts]

    @property
    def varying(self) -> frozenset[str]:
        still = set(self._constant) if self.rows else set(range(len(self._columns)))
        return frozenset(name for index, name in enumerate(self._columns) if index not in still)


def first_text(values: pa.Array) -> tuple[int, str] | None:
    """Row, counted from 1, and value of the first that is neither missing nor a number."""
    index = pc.index(_missing_or_number(values), False).as_py()
    return None if index < 0 else (index + 1, values[index].as_py())


def _missing_or_number(texts: pa.Array) -> pa.Array:
    """For each value, whether it is no text."""
    trimmed = pc.utf8_trim_whitespace(texts)
    missing = pc.is_in(pc.fill_null(trimmed, ""), value_set=MISSING)
    try:
        pc.cast(trimmed.filter(pc.invert(missing)), pa.float64())
    except pa.ArrowInvalid:
        return pc.or_(missing, pc.fill_null(pc.match_substring_regex(trimmed, ADORNED_NUMBER), False))
    return pc.or_(missing, True)


def _entries(found: pa.StructArray) -> Iterator[tuple[str, int]]:
    yield from zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)
