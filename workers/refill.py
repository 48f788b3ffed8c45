"""Bringing the best queued jobs of a queue to the broker's notice."""

import structlog

from db.engine import Database
from db.hints import next_hints, unmark
from tasks.broker import BrokerUnavailable
from tasks.hints import HintSender

log = structlog.get_logger()


def refill(database: Database, sender: HintSender, queue: str) -> None:
    """Mark, commit, then send: a hint that gets lost in between leaves a stale mark. Raises ``OperationalError``."""
    with database.write() as session:
        hints = next_hints(session, queue)
    try:
        sender.send(queue, [(hint.job_id, hint.kind) for hint in hints])
    except BrokerUnavailable as exc:
        log.warning("hints_not_sent", queue=queue, hints=len(hints), why=str(exc))
        with database.write() as session:
            unmark(session, [hint.job_id for hint in hints])
