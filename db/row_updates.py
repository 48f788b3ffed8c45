"""Giving many rows values of their own in one statement: a statement for each takes about three times as long, on
PostgreSQL even when they are sent together."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import ARRAY, Column, String, Table, Text, Update, bindparam, func, update
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session
from sqlalchemy.types import JSON

from db.json_text import to_text
from db.rows import Row


class RowUpdate:
    """Made once, since that takes longer than running it. ``key`` names the columns that say which row is meant,
    ``given`` those that are changed to a row's own value; ``same`` are what all rows get, a ``bindparam`` among them
    is told at each run."""

    def __init__(self, row: type[Row], *, key: Sequence[str], given: Sequence[str], same: Mapping[str, Any]) -> None:
        table = cast(Table, row.__table__)
        self._columns = [table.c[name] for name in (*key, *given)]
        self._for_each = self._one(table, key, given, same)
        self._for_all = self._together(table, key, given, same)

    def run(self, session: Session, rows: Sequence[Mapping[str, Any]], **told: Any) -> None:
        """Each of ``rows`` has the columns of ``key`` and ``given``."""
        connection = session.connection()
        if connection.dialect.name == "sqlite":
            given = [{_parameter(c.name): row[c.name] for c in self._columns} for row in rows]
            connection.execute(self._for_each, [{**told, **one} for one in given])
            return
        columns = {_parameter(c.name): _sent(c, [row[c.name] for row in rows]) for c in self._columns}
        connection.execute(self._for_all, {**told, **columns})

    @staticmethod
    def _one(table: Table, key: Sequence[str], given: Sequence[str], same: Mapping[str, Any]) -> Update:
        """For SQLite, which has no round trips to save."""
        which = [table.c[name] == bindparam(_parameter(name)) for name in key]
        return update(table).where(*which).values(**same, **{name: bindparam(_parameter(name)) for name in given})

    def _together(self, table: Table, key: Sequence[str], given: Sequence[str], same: Mapping[str, Any]) -> Update:
        arrays = [bindparam(_parameter(c.name), type_=ARRAY(_sent_type(c))) for c in self._columns]
        rows = func.unnest(*arrays).table_valued(*(c.name for c in self._columns)).render_derived("given")
        which = [table.c[name] == rows.c[name] for name in key]
        own = {name: sql_cast(rows.c[name], table.c[name].type) for name in given}
        return update(table).where(*which).values(**same, **own)


def _parameter(column: str) -> str:
    """SQLAlchemy keeps the plain names of the columns for itself."""
    return f"of_{column}"


def _sent_type(column: Column[Any]) -> Any:
    """Texts have no length here: a cast to one would cut them without a word."""
    return Text() if isinstance(column.type, JSON | String) else column.type


def _sent(column: Column[Any], values: Sequence[Any]) -> Sequence[Any]:
    if not isinstance(column.type, JSON):
        return values
    return [None if value is None else to_text(value) for value in values]
