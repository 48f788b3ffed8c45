"""PostgreSQL's own traps: settings with which it loses what it has promised to keep."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from api.doctor.findings import Finding, fail, ok, warn

_SCARCE_CONNECTIONS = 0.8
_OLDEST_VERSION = 14


def postgres_findings(session: Session) -> list[Finding]:
    """Raises ``SQLAlchemyError``."""
    return [_durability(session), _writes(session), _connections(session), *_encoding(session), *_version(session)]


def _durability(session: Session) -> Finding:
    """What this session has, which may be set for a role, a database or the server."""
    if _setting(session, "fsync") == "off" or _setting(session, "full_page_writes") == "off":
        message = "PostgreSQL runs with `fsync` or `full_page_writes` off."
        advice = "Set both to on and restart it: a power cut may destroy the whole database."
        return fail("database_durability", message, advice)
    if _setting(session, "synchronous_commit") == "off":
        message = "PostgreSQL runs with `synchronous_commit` off."
        advice = "Set it to on: jobs that were accepted are lost when the server crashes in the next moment."
        return fail("database_durability", message, advice)
    return ok("database_durability", "PostgreSQL keeps what it has committed.")


def _writes(session: Session) -> Finding:
    if session.scalar(text("SELECT pg_is_in_recovery()")):
        advice = "Point TURNOUT_DATABASE_URL at the primary, or promote this one; nothing is accepted until then."
        return fail("database_writes", "This PostgreSQL is a standby, and takes no writes.", advice)
    if _setting(session, "default_transaction_read_only") == "on":
        advice = "Set `default_transaction_read_only` to off for this role, database and server."
        return fail("database_writes", "PostgreSQL takes no writes from us.", advice)
    return ok("database_writes", "PostgreSQL takes writes.")


def _connections(session: Session) -> Finding:
    most = int(_setting(session, "max_connections"))
    used = session.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")) or 0
    message = f"PostgreSQL has {used} of at most {most} connections."
    if used > _SCARCE_CONNECTIONS * most:
        return warn("database_connections", message, "Raise `max_connections`; each process keeps up to 8 open.")
    return ok("database_connections", message)


def _encoding(session: Session) -> list[Finding]:
    encoding = _setting(session, "server_encoding")
    if encoding == "UTF8":
        return []
    advice = "Make a database with the encoding UTF8 and move the data there: other text is refused or damaged."
    return [fail("database_encoding", f"The database's encoding is {encoding}.", advice)]


def _version(session: Session) -> list[Finding]:
    major = int(_setting(session, "server_version_num")) // 10_000
    if major >= _OLDEST_VERSION:
        return []
    message = f"PostgreSQL {major} is older than {_OLDEST_VERSION}."
    return [warn("database_version", message, "Use a newer one: this one gets no fixes any more.")]


def _setting(session: Session, name: str) -> str:
    return str(session.scalar(text("SELECT current_setting(:name)"), {"name": name}))
