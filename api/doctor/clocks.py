"""The clocks of the machines: each against the database's, by which leases and due times go."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from api.doctor.findings import Finding, listed, ok, warn
from db.rows import WorkerRow

MOST_SKEW_SECONDS = 5.0
_ADVICE = "Set both by NTP: leases and due times go by the database's."


def api_clock(skew_seconds: float) -> Finding:
    """``skew_seconds``: how far the database's clock is ahead of this process's."""
    if abs(skew_seconds) <= MOST_SKEW_SECONDS:
        return ok("database_clock", f"The clocks of API and database differ by {abs(skew_seconds):.1f} s.")
    direction = "ahead of" if skew_seconds > 0 else "behind"
    return warn("database_clock", f"The database's clock is {abs(skew_seconds):.0f} s {direction} the API's.", _ADVICE)


def worker_clocks(live: Sequence[WorkerRow]) -> list[Finding]:
    """A worker makes its id by its own clock when it starts, at which moment the database notes the time by its own."""
    skews = {worker.name: (_made_at(worker.id) - worker.started_at).total_seconds() for worker in live}
    wrong = [
        f"{name} ({abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the database's)"
        for name, skew in skews.items()
        if abs(skew) > MOST_SKEW_SECONDS
    ]
    if wrong:
        message = f"Workers whose clocks were wrong when they started: {listed(wrong)}."
        return [warn("worker_clocks", message, "Set them by NTP and restart them; their logs tell the wrong times.")]
    return [ok("worker_clocks", "The clocks of workers and database agreed when they started.")] if live else []


def _made_at(worker_id: str) -> datetime:
    """The moment in a UUIDv7 (RFC 9562): milliseconds in its first 48 bits."""
    return datetime.fromtimestamp((UUID(worker_id).int >> 80) / 1000, UTC)
