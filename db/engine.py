"""Engines and sessions, made at an entry point and passed on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.orm import Session, sessionmaker

_BUSY_TIMEOUT_MS = 30_000


class Database:
    """One process's access to the database: ``write()`` and ``read()`` open a session in a transaction.

    ``durable=True`` makes each commit reach the disk before it returns: for what is promised to a user. Workers'
    progress does without; a power cut may take its last moments, a process's death takes nothing.
    """

    def __init__(self, url: str, *, durable: bool = False) -> None:
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        self.writing_engine = self._engine(url, durable=durable, begin="BEGIN IMMEDIATE")
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

    def _engine(self, url: str, *, durable: bool, begin: str) -> Engine:
        if not self.is_sqlite:
            return create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args={"connect_timeout": 5})
        # Values, such as specs, have no place in an error that may be logged.
        engine = create_engine(url, hide_parameters=True, pool_size=8, max_overflow=32)
        _prepare_sqlite(engine, synchronous="FULL" if durable else "NORMAL", begin=begin)
        return engine


def _prepare_sqlite(engine: Engine, *, synchronous: str, begin: str) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        # The driver would begin its own deferred transactions, which fail at once with "database is locked" when a
        # read turns into a write; a write transaction has to take its lock at the start.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={synchronous}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql(begin)
