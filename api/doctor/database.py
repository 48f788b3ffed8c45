"""The database: whether it answers, has the right tables, and agrees about the time."""

import time
from datetime import UTC, datetime

from api.doctor.findings import Finding, fail, ok, warn
from db.clock import read_now
from db.engine import Database
from db.schema import revisions

_SLOW_SECONDS = 0.25
_MOST_SKEW_SECONDS = 5.0


def database_findings(database: Database) -> list[Finding]:
    """Raises ``SQLAlchemyError``."""
    started, before = time.perf_counter(), datetime.now(UTC)
    with database.read() as session:
        connected = time.perf_counter()
        now = read_now(session)
    took = time.perf_counter() - connected
    middle = before + (datetime.now(UTC) - before) / 2
    return [
        _speed(database, took, connected - started),
        _migrations(database),
        _clock((now - middle).total_seconds()),
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


def _clock(skew_seconds: float) -> Finding:
    if abs(skew_seconds) <= _MOST_SKEW_SECONDS:
        return ok("database_clock", f"The clocks of API and database differ by {abs(skew_seconds):.1f} s.")
    direction = "ahead of" if skew_seconds > 0 else "behind"
    return warn(
        "database_clock",
        f"The database's clock is {abs(skew_seconds):.0f} s {direction} the API's.",
        "Set both by NTP: leases and due times go by the database's.",
    )


def _numbers(revisions: frozenset[str]) -> str:
    return ", ".join(sorted(revisions)) or "none"
