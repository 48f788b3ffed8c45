"""Looking for rows by two columns."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, and_, tuple_
from sqlalchemy.orm import InstrumentedAttribute


def either_pair(
    first: InstrumentedAttribute[Any], second: InstrumentedAttribute[Any], pairs: Collection[tuple[Any, Any]]
) -> ColumnElement[bool]:
    """That both columns are those of one of the pairs. For pairs alone SQLite would read the whole table; with the
    values of the first column it takes that one's index."""
    return and_(first.in_({pair[0] for pair in pairs}), tuple_(first, second).in_(pairs))
