"""The database: whether it answers, has the right tables, and agrees about the time."""

import time
from datetime import UTC, datetime

from api.doctor.clocks import api_clock
from api.doctor.findings import Finding, fail, ok, warn
from api.doctor.postgres import postgres_findings
from db.clock import read_now
from db.engine import Database
from db.schema import revisions

_SLOW_SECONDS = 0.25


def database_findings(database: Database) -> list[Finding]:
    """Raises ``SQLAlchemyError``."""
    started, before = time.perf_counter(), datetime.now(UTC)
    with database.read() as session:
        connected = time.perf_counter()
        now = read_now(session)
        took = time.perf_counter() - connected
        middle = before + (datetime.now(UTC) - before) / 2
        more = [] if database.is_sqlite else postgres_findings(session)
    return [
        _speed(database, took, connected - started),
        _migrations(database),
        api_clock((now - middle).total_seconds()),
        *more,
    ]


def _speed(database: Database, took: float, connecting: float) -> Finding:
    name = "SQLite" if database.is_sqlite else "PostgreSQL"
    message = f"{name} answers in {1000 * (took + connecting):.0f} ms."
    if took + connecting > _SLOW_SECONDS:
        return warn("database", message, "Look at its load, its disk and the network between.")
    return ok("database", message)


def _migrations(database: Database) -> Finding:
    found = revisions(database)
    if found.applied == found.needed:
        return ok("migrations", f"All migrations are applied ({_numbers(found.applied)}).")
    if found.applied <= found.known:
        return fail(
            "migrations",
            f"The database is at migration {_numbers(found.applied)}; this version needs {_numbers(found.needed)}.",
            "Run `python -P -m api.setup` with this version's settings, then restart API and workers.",
        )
    return fail(
        "migrations",
        f"The database was migrated by a newer version, to {_numbers(found.applied)}.",
        "Run that version here, too.",
    )


def _numbers(revisions: frozenset[str]) -> str:
    return ", ".join(sorted(revisions)) or "none"
