"""Inserting many rows at the least cost: a statement that is made once, and values in the database's own form.

SQLAlchemy's own way costs ten times what the databases do. Columns that are not named get their default, which must
not be an SQL expression.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, Dialect, String
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.types import JSON

from db.clock import UtcTime
from db.json_text import to_text
from db.rows import Row

_POSTGRESQL: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
_DIALECTS: Mapping[str, Dialect] = {"sqlite": sqlite.dialect(), "postgresql": _POSTGRESQL}


def insert_rows(session: Session, row: type[Row], values: Sequence[Mapping[str, Any]]) -> None:
    """``values`` all name the same columns. Breaks like any statement does, on a primary key, say."""
    if not values:
        return
    connection = session.connection()
    dialect = connection.dialect
    given = tuple(values[0])
    columns: list[Sequence[Any]] = []
    for name in given:
        to_stored = _to_stored(row, name, dialect.name)
        column = [one[name] for one in values]
        columns.append(column if to_stored is None else _each(to_stored, column))
    statement, defaults = _statement(row, given, dialect.name)
    if dialect.name == "sqlite":
        constants = [[value] * len(values) for value in defaults]
        connection.exec_driver_sql(statement, list(zip(*columns, *constants, strict=True)))
    else:
        connection.exec_driver_sql(statement, (*defaults, *columns))


def _each(to_stored: Callable[[Any], Any], column: Sequence[Any]) -> Sequence[Any]:
    """Most rows of one submission share their times, and many their documents."""
    known: dict[int, Any] = {}
    stored = []
    for value in column:
        identity = id(value)
        if identity not in known:
            known[identity] = None if value is None else to_stored(value)
        stored.append(known[identity])
    return stored


@cache
def _statement(row: type[Row], given: tuple[str, ...], dialect: str) -> tuple[str, Sequence[Any]]:
    """The statement, and the values of the columns that are not given."""
    columns = {column.name: column for column in Row.metadata.tables[row.__tablename__].columns}
    rest = [column for name, column in columns.items() if name not in given and column.default is not None]
    defaults = [_stored_default(row, column, dialect) for column in rest]
    names = [column.name for column in rest]
    if dialect == "sqlite":
        listed = ", ".join((*given, *names))
        places = ", ".join("?" * (len(given) + len(names)))
        return f"INSERT INTO {row.__tablename__} ({listed}) VALUES ({places})", defaults
    listed = ", ".join((*names, *given))
    constants = [f"%s::{_sent_type(column)}{_kept_as(column)}" for column in rest]
    taken = [f"given.{name}{_kept_as(columns[name])}" for name in given]
    arrays = ", ".join(f"%s::{_sent_type(columns[name])}[]" for name in given)
    chosen = ", ".join((*constants, *taken))
    rows = f"unnest({arrays}) AS given({', '.join(given)})"
    return f"INSERT INTO {row.__tablename__} ({listed}) SELECT {chosen} FROM {rows}", defaults


def _sent_type(column: Column[Any]) -> str:
    """As PostgreSQL calls it. Texts have no length here: a cast to one would cut them without a word."""
    as_text = isinstance(column.type, String | JSON)
    return "text" if as_text else column.type.compile(_POSTGRESQL)


def _kept_as(column: Column[Any]) -> str:
    return "::jsonb" if isinstance(column.type, JSON) else ""


def _stored_default(row: type[Row], column: Column[Any], dialect: str) -> Any:
    default: Any = column.default
    if default.is_clause_element:
        raise ValueError(f"{row.__tablename__}.{column.name} has to be given")
    value = default.arg(None) if default.is_callable else default.arg
    to_stored = _to_stored(row, column.name, dialect)
    return value if to_stored is None else to_stored(value)


@cache
def _to_stored(row: type[Row], name: str, dialect: str) -> Callable[[Any], Any] | None:
    """What turns a value into what the driver is given; None where it takes the value as it is."""
    kind = row.__table__.columns[name].type
    if isinstance(kind, JSON):
        return to_text
    if isinstance(kind, UtcTime):
        return lambda value: kind.process_bind_param(value, _DIALECTS[dialect])
    return None
