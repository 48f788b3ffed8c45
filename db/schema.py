"""Bringing a database to the schema that this code needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from db.engine import Database
from db.rows import Row

# The number of PostgreSQL's advisory lock that who migrates holds; any number that nobody else uses ("turnout" in hex).
_MIGRATING = 0x7475726E6F7574


def upgrade(database: Database, revision: str = "head") -> None:
    """Apply the missing migrations, in one transaction. Of several processes that come at once one applies them; the
    others wait for it and find nothing left to do."""
    with _migrating(database) as connection:
        command.upgrade(_config(connection), revision)


def downgrade(database: Database, revision: str) -> None:
    """Undo migrations down to ``revision`` (``base``: all of them)."""
    with _migrating(database) as connection:
        command.downgrade(_config(connection), revision)


@dataclass(frozen=True)
class Revisions:
    """The last migrations that a database has, those that this code needs, and all that it knows."""

    applied: frozenset[str]
    needed: frozenset[str]
    known: frozenset[str]


def revisions(database: Database) -> Revisions:
    with database.reading_engine.connect() as connection:
        applied = MigrationContext.configure(connection).get_current_heads()
        scripts = ScriptDirectory.from_config(_config(connection))
        known = (script.revision for script in scripts.walk_revisions())
        return Revisions(frozenset(applied), frozenset(scripts.get_heads()), frozenset(known))


def is_current(database: Database) -> bool:
    """Whether every migration has been applied."""
    found = revisions(database)
    return found.applied == found.needed


def drift(database: Database) -> list[object]:
    """How the database differs from the tables of ``db.rows``; empty when it does not."""
    with database.reading_engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, Row.metadata))


def new_revision(database: Database, message: str) -> None:
    """Write a migration file from the difference between the database and ``db.rows``."""
    with database.writing_engine.begin() as connection:
        config = _config(connection)
        number = len(list(ScriptDirectory.from_config(config).walk_revisions())) + 1
        command.revision(config, message=message, autogenerate=True, rev_id=f"{number:04}")


@contextmanager
def _migrating(database: Database) -> Iterator[Connection]:
    with database.writing_engine.begin() as connection:
        if not database.is_sqlite:
            # Rewriting a large table takes longer than any statement of ordinary work may, and so does waiting for
            # whoever is at it. On SQLite a transaction that writes keeps the others out by itself.
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
            connection.exec_driver_sql("SET LOCAL lock_timeout TO DEFAULT")
        yield connection


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config
