"""The database's clock, the only one that leases and due times are measured by.

PostgreSQL's ``now()`` stands still during a transaction, hence ``clock_timestamp()``. SQLite keeps times as text in
UTC with milliseconds, which compare correctly as strings.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import DateTime, Dialect, Float, String, bindparam, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime: ``timestamptz`` on PostgreSQL, text of fixed width on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(23))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without time zone reached the database")
        utc = value.astimezone(UTC)
        if dialect.name == "sqlite":
            return utc.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
        return utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        aware: datetime = value
        return aware.astimezone(UTC)


class _Now(FunctionElement[datetime]):
    """The database's present moment, shifted by a number of seconds."""

    type = UtcTime()
    name = "turnout_now"
    inherit_cache = True


def db_now(shift: timedelta = timedelta(0)) -> FunctionElement[datetime]:
    """An SQL expression for the database's present moment plus ``shift``."""
    return _Now(bindparam(None, shift.total_seconds(), type_=Float, unique=True))


def read_now(session: Session) -> datetime:
    """The database's present moment; compared with a clock of one's own it shows when the database's was set."""
    return session.connection().execute(_NOW).scalar_one()


# Built once, since that takes longer than running it.
_NOW = select(db_now())


@compiles(_Now, "sqlite")
def _now_sqlite(element: _Now, compiler: SQLCompiler, **kw: Any) -> str:
    shift = compiler.process(element.clauses, **kw)
    return f"strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', {shift}))"


@compiles(_Now, "postgresql")
def _now_postgresql(element: _Now, compiler: SQLCompiler, **kw: Any) -> str:
    shift = compiler.process(element.clauses, **kw)
    return f"(clock_timestamp() + make_interval(secs => {shift}))"
