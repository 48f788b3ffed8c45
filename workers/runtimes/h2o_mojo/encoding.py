"""Turns columns into the numbers that a MOJO takes: numbers as they are, categories as positions, missing as NaN."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import InvalidInput
from tasks.tables.column_facts import ADORNED_NUMBER, ADORNMENTS, MISSING


@dataclass
class Unknown:
    """Values of one column that no row of the training had; ``first`` in row ``row``, counted from 1."""

    first: str
    row: int
    count: int


class Encoder:
    """Encodes one feature; remembers the levels that the model doesn't know, which H2O takes for missing."""

    def __init__(self, name: str, domain: Sequence[str] | None) -> None:
        self._name = name
        self._domain = None if domain is None else pa.array(domain, pa.string())
        self.unknown: Unknown | None = None
        self.has_times = False

    def encode(self, column: pa.Array, rows_before: int) -> npt.NDArray[np.float64]:
        """Doubles, one for each row. Raises ``InvalidInput`` for a text among numbers, with its row."""
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_nested(column.type):
            raise InvalidInput(f"Column {self._name!r} holds {column.type}, which is no plain value.")
        return self._levels(column, rows_before) if self._domain is not None else self._numbers(column, rows_before)

    def _levels(self, column: pa.Array, rows_before: int) -> npt.NDArray[np.float64]:
        texts = pc.utf8_ltrim_whitespace(_texts(column))
        found = pc.index_in(texts, value_set=self._domain)
        missing = pc.fill_null(pc.is_in(pc.utf8_rtrim_whitespace(texts), value_set=MISSING), True)
        unknown = pc.and_(pc.is_null(found), pc.invert(pc.or_(missing, pc.is_null(texts))))
        count = pc.sum(unknown).as_py() or 0
        if count and self.unknown is None:
            row = pc.index(unknown, True).as_py()
            self.unknown = Unknown(texts[row].as_py(), rows_before + row + 1, 0)
        if self.unknown is not None:
            self.unknown.count += count
        return _doubles(found)

    def _numbers(self, column: pa.Array, rows_before: int) -> npt.NDArray[np.float64]:
        kind = column.type
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            return _doubles(pc.cast(pc.cast(column, pa.timestamp("ms"), safe=False), pa.int64()))
        if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return _doubles(column)
        if pa.types.is_decimal(kind):
            return _doubles(pc.cast(column, pa.float64()))
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise InvalidInput(f"Column {self._name!r} holds {kind}, where the model needs numbers.")
        return self._parsed(pc.utf8_trim_whitespace(column), rows_before)

    def _parsed(self, texts: pa.Array, rows_before: int) -> npt.NDArray[np.float64]:
        given = pc.if_else(pc.is_in(texts, value_set=MISSING), pa.scalar(None, pa.string()), texts)
        is_number = pc.fill_null(pc.match_substring_regex(given, ADORNED_NUMBER), True)
        plain = pc.replace_substring_regex(pc.if_else(is_number, given, None), ADORNMENTS, "")
        # H2O reads 5% as 0.05, and $5 as 5.
        units = pc.if_else(pc.fill_null(pc.ends_with(given, "%"), False), 100.0, 1.0)
        numbers = _doubles(pc.divide(pc.cast(plain, pa.float64()), units))
        if pc.all(is_number).as_py() is not False:
            return numbers
        return np.where(np.isnan(numbers), self._times(given, is_number, rows_before), numbers)

    def _times(self, texts: pa.Array, is_number: pa.Array, rows_before: int) -> npt.NDArray[np.float64]:
        """H2O takes a time as milliseconds since 1970."""
        try:
            times = pc.cast(pc.if_else(is_number, None, texts), pa.timestamp("ms"))
        except pa.ArrowInvalid:
            row = pc.index(is_number, False).as_py()
            raise InvalidInput(
                f"Column {self._name!r} has {texts[row].as_py()[:60]!r} in row {rows_before + row + 1}, where the "
                "model needs a number, or a time such as 2026-11-24 or 2026-11-24 10:30:00."
            ) from None
        self.has_times = True
        return _doubles(pc.cast(times, pa.int64()))


def _texts(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_floating(kind) and pc.all(pc.equal(column, pc.floor(column))).as_py() is not False:
        # A class is called 1, not 1.0, where the column can be missing and therefore has doubles.
        column = pc.cast(column, pa.int64(), safe=False)
    return pc.cast(column, pa.string())


def _doubles(column: pa.Array) -> npt.NDArray[np.float64]:
    return np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
