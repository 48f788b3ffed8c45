"""What H2O takes a column of a text file for when nobody says: the rules of its ``PreviewParseWriter``."""

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from tasks.tables.column_facts import ADORNED_NUMBER, ADORNMENTS
from tasks.tabular import ColumnType

# H2O looks at so much of a file, unpacked.
GUESSED_FROM_BYTES = 4 << 20
# Of texts fewer than this share may be the same, or they are categories.
_DISTINCT_SHARE = 0.95
_MISSING = frozenset({"NA", "na", "Na"})

_MONTH = (
    "(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sep(tember)?|oct(ober)?|nov(ember)?"
    "|dec(ember)?)"
)
_DAY = "(0?[1-9]|[12][0-9]|3[01])"
_MINUTE = r"([01]?[0-9]|2[0-3])[:.][0-5]?[0-9]"
_NOON = "( ?(AM|PM))?"
_CLOCK = rf"{_MINUTE}[:.][0-5]?[0-9]([:.][0-9]*)?{_NOON}"
# Four numbers with points are an address.
_LONE_CLOCK = (
    rf"{_MINUTE}[:.][0-5]?[0-9]({_NOON}|:[0-9]*{_NOON})|[0-9]{{1,2}}:{_CLOCK}|{_MINUTE}:[0-5]?[0-9]\.[0-9]*{_NOON}"
)
_TIME = "|".join(
    (
        rf"[0-9]{{4}}-(0?[1-9]|1[0-2])(-{_DAY})?( *{_CLOCK})?",
        rf"[0-9]{{4}}(0[1-9]|1[0-2]){_DAY}-{_CLOCK}",
        rf"({_DAY}-?)?{_MONTH}-?[0-9]{{2}}([0-9]{{2}})?([ :]*{_CLOCK})?",
        rf"[0-9]{{2}}-{_MONTH}",
        rf"(0?[1-9]|1[0-2])(-{_DAY}-|/{_DAY}/)[0-9]{{2}}([0-9]{{2}})?([ :]*{_CLOCK})?",
        _LONE_CLOCK,
    )
)
TIME = f"(?i)^({_TIME})$"
_UUID = "(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


@dataclass
class TypeGuess:
    """One column's values by what they look like."""

    lines: int = 0
    empty: int = 0
    zeros: int = 0
    numbers: int = 0
    times: int = 0
    uuids: int = 0
    strings: int = 0
    levels: set[str] = field(default_factory=set)

    def see(self, texts: pa.Array, *, numbers: bool = True) -> None:
        """Take in the next values; missing ones are empty texts, or null. ``numbers`` says whether there may be any:
        texts in Parquet stay texts."""
        values = pc.utf8_trim_whitespace(pc.fill_null(texts, ""))
        self.lines += len(values)
        left = values.filter(pc.not_equal(values, ""))
        self.empty += len(values) - len(left)
        if numbers:
            left = self._see_numbers(left)
        times, left = _parted(left, TIME)
        self.times += len(times)
        uuids, left = _parted(left, _UUID)
        self.uuids += len(uuids)
        self.strings += len(left)
        self.levels |= set(left.unique().to_pylist())

    def _see_numbers(self, values: pa.Array) -> pa.Array:
        """Take in those of the values that are numbers, and return the others."""
        numbers, left = _parted(values, ADORNED_NUMBER)
        plain = pc.replace_substring_regex(numbers, ADORNMENTS, "")
        zeros = pc.sum(pc.equal(pc.cast(plain, pa.float64()), 0)).as_py() or 0
        self.zeros += zeros
        self.numbers += len(numbers) - zeros
        return left

    @property
    def type(self) -> ColumnType:
        numbers = self.numbers + self.zeros
        if numbers >= self.times and numbers >= self.uuids and self.numbers >= self.strings:
            return "numeric"
        if self.levels <= _MISSING and len(self.levels) == 1 and numbers + self.strings > self.times + self.uuids:
            return "numeric"
        if self.times > max(self.uuids, numbers) and (self.times > self.strings or len(self.levels) <= 1):
            return "time"
        repeated = len(self.levels) <= _DISTINCT_SHARE * self.strings
        if self.strings >= numbers and self.strings > max(self.times, self.uuids) and repeated:
            return "enum"
        return "string"


def _parted(values: pa.Array, pattern: str) -> tuple[pa.Array, pa.Array]:
    """The values that match, and the others."""
    matching = pc.match_substring_regex(values, pattern)
    return values.filter(matching), values.filter(pc.invert(matching))
