"""Engines and sessions, made at an entry point and passed on."""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from db.json_text import from_text, to_text

_BUSY_TIMEOUT_MS = 30_000
_BEGIN_WRITING = "BEGIN IMMEDIATE"
_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, _LONGER = 0.0003, 0.002, 1.1
# States of a server or a session in which nothing can be written, although nothing is wrong with the statement: the
# transaction was idle or took too long, or the server is a standby, as just after a failover.
_OUTAGES = frozenset({"25P03", "25P04", "25006"})
# Who asks for a connection is a thread, of which each process has a bounded number; none has to wait for another's.
_POOL = {"pool_size": 8, "max_overflow": -1}
# Opening a file and setting it up takes several times as long as the usual question.
_FILE_POOL = {"pool_size": 40, "max_overflow": -1}
# Values, such as specs, have no place in an error that may be logged.
_ANY: Mapping[str, Any] = {"hide_parameters": True, "json_serializer": to_text, "json_deserializer": from_text}
_POSTGRES_TIMEOUTS_MS = {
    "lock_timeout": 10_000,
    "idle_in_transaction_session_timeout": 10_000,
    "statement_timeout": 30_000,
}
_POSTGRES_CONNECTION = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


class Database:
    """One process's access to the database: ``write()`` and ``read()`` open a session in a transaction.

    ``durable=True`` makes each commit reach the disk before it returns: for what is promised to a user. Workers'
    progress does without; a power cut may take its last moments, a process's death takes nothing.
    """

    def __init__(self, url: str | URL, *, durable: bool = False) -> None:
        url = make_url(url)
        self.is_sqlite = url.get_backend_name() == "sqlite"
        if self.is_sqlite and url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        self.writing_engine = self._engine(url, durable=durable, begin=_BEGIN_WRITING)
        self.reading_engine = self._engine(url, durable=False, begin="BEGIN") if self.is_sqlite else self.writing_engine
        self._writing = sessionmaker(self.writing_engine, expire_on_commit=False)
        self._reading = sessionmaker(self.reading_engine, expire_on_commit=False)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose transaction commits when the block ends, and rolls back when it raises."""
        with self._writing.begin() as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        with self._reading() as session:
            yield session

    def dispose(self) -> None:
        self.writing_engine.dispose()
        self.reading_engine.dispose()

    def _engine(self, url: URL, *, durable: bool, begin: str) -> Engine:
        if not self.is_sqlite:
            limits = _postgres_limits(url)
            engine = create_engine(url, pool_pre_ping=True, connect_args=limits, **_POOL, **_ANY)
            event.listen(engine, "handle_error", _as_an_outage)
            event.listen(engine, "connect", _send_lists_in_binary)
            return engine
        engine = create_engine(url, **_FILE_POOL, **_ANY)
        _prepare_sqlite(engine, synchronous="FULL" if durable else "NORMAL", begin=begin)
        return engine


def _postgres_limits(url: URL) -> dict[str, Any]:
    """Nobody waits for ever, nor keeps others waiting: a server that is gone is noticed by the connection, a process
    that froze inside a transaction loses it and with it the row locks. What the URL itself says comes last and wins."""
    limits = " ".join(f"-c {name}={milliseconds}" for name, milliseconds in _POSTGRES_TIMEOUTS_MS.items())
    asked = url.query.get("options", "")
    arguments = {**_POSTGRES_CONNECTION, "options": f"{limits} {asked if isinstance(asked, str) else ' '.join(asked)}"}
    return {name: value for name, value in arguments.items() if name == "options" or name not in url.query}


def _as_an_outage(context: ExceptionContext) -> None:
    """Who froze inside a transaction finds its session ended; who is still connected to what is a standby now can't
    write. Both are reported in the class of internal errors; callers are prepared for a database that went away, an
    ``OperationalError``, after which each connection is made anew."""
    error = context.original_exception
    if getattr(error, "sqlstate", None) in _OUTAGES:
        context.is_disconnect = True
        raise OperationalError(context.statement, None, error, hide_parameters=True) from error


def _send_lists_in_binary(connection: psycopg.Connection[Any], _record: Any) -> None:
    """As text, psycopg looks through each element for what has to be escaped, which takes ten times as long."""
    connection.adapters.register_dumper(list, ListBinaryDumper)


def _prepare_sqlite(engine: Engine, *, synchronous: str, begin: str) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        # The driver would begin its own deferred transactions, which fail at once with "database is locked" when a
        # read turns into a write; a write transaction has to take its lock at the start.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        _switch_to_wal(cursor)
        cursor.execute(f"PRAGMA synchronous={synchronous}")
        cursor.execute("PRAGMA foreign_keys=ON")
        if begin == _BEGIN_WRITING:
            # Who has the lock for writing waits for nothing else.
            cursor.execute("PRAGMA busy_timeout=0")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        if begin == _BEGIN_WRITING:
            _wait_for_the_lock(connection)
        else:
            connection.exec_driver_sql(begin)


def _wait_for_the_lock(connection: Connection) -> None:
    """Begin to write, as soon as nobody else does. Others write for a few milliseconds; SQLite itself looks again after
    1, 3, 8, 18 and 33 of them, and so on, which is most of what a short job takes."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError(type(driver).__name__)
    give_up_at = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    pause = _SHORTEST_PAUSE_SECONDS
    while time.monotonic() < give_up_at:
        try:
            driver.execute(_BEGIN_WRITING)
        except sqlite3.Error as exc:
            if not _is_busy(exc):
                break
        else:
            return
        time.sleep(pause)
        pause = min(pause * _LONGER, _LONGEST_PAUSE_SECONDS)
    # What is wrong is said as SQLAlchemy says it.
    connection.exec_driver_sql(_BEGIN_WRITING)


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """SQLite's own timeout does not cover this: of several processes that open a new file at once some are told that it
    is locked."""
    give_up_at = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as exc:
            if not _is_busy(exc) or time.monotonic() > give_up_at:
                raise
        time.sleep(0.01)


def _is_busy(error: sqlite3.Error) -> bool:
    # The extended codes of "busy" differ in the upper bits only; what the driver itself says has none.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF == sqlite3.SQLITE_BUSY
