"""How an attempt's end is written down: which way it ended, turned into the one transaction that says so."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import Any

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from db import finish
from db.claims import Token
from db.engine import Database
from db.states import Reason, State

log = structlog.get_logger()

_RETRY_SECONDS = 0.5
_ENDED_ON_REQUEST = frozenset({Reason.CANCELLED_BY_USER, Reason.STOPPED_BY_USER})


class Why(Enum):
    """Why the worker itself wants an attempt to end; ``FORCED``: it was asked to, and did not; ``BROKEN``: the worker
    can't carry it on, or may not."""

    ASKED = auto()
    FORCED = auto()
    TIMED_OUT = auto()
    STALLED = auto()
    TOO_LATE = auto()
    SHUTDOWN = auto()
    BROKEN = auto()


# What a job's own code may notice before the worker does; it is lost, as if its runner had died of it.
_LOSSES = frozenset({Reason.CLUSTER_LOST, Reason.OUT_OF_MEMORY})
# Which reason each limit of an attempt gives, and whether another attempt may do better.
_LIMITS = {
    Why.TIMED_OUT: (Reason.TIMED_OUT, False),
    Why.STALLED: (Reason.STALLED, True),
    Why.TOO_LATE: (Reason.DEADLINE_EXCEEDED, False),
}


@dataclass(frozen=True)
class Report:
    """What a runner said at the end of an attempt; ``died`` says how its process ended instead, and ``code`` why.
    ``start_over`` says why it was ended for another job's sake."""

    succeeded: bool = False
    result: Mapping[str, Any] = field(default_factory=dict)
    code: Reason = Reason.INTERNAL_ERROR
    message: str = ""
    retryable: bool = False
    retry_after: timedelta | None = None
    died: str | None = None
    start_over: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)


def report_of(message: Mapping[str, Any]) -> Report:
    """Read a runner's ``finished`` message."""
    if message["outcome"] == "succeeded":
        return Report(succeeded=True, result=message["result"], metrics=message["metrics"])
    pause = message["retry_after_seconds"]
    known = message["code"] in set(Reason)
    return Report(
        code=Reason(message["code"]) if known else Reason.INTERNAL_ERROR,
        message=message["message"],
        retryable=message["retryable"],
        retry_after=None if pause is None else timedelta(seconds=pause),
        metrics=message["metrics"],
    )


def ending(token: Token, report: Report, why: Why | None, limits: Mapping[Why, str]) -> Callable[[Session], State]:
    """The transaction that ends the attempt. ``limits`` words what was exceeded."""
    if report.succeeded:
        return lambda session: finish.succeed(session, token, report.result, report.metrics)
    if why is Why.SHUTDOWN:
        return lambda session: finish.hand_back(session, token)
    if why in _LIMITS:
        reason, again = _LIMITS[why]
        return lambda session: finish.fail(
            session, token, reason=reason, message=limits[why], retryable=again, metrics=report.metrics
        )
    # A runner that dies by itself while a stop is pending is lost like any other; the next attempt keeps the best.
    if why is Why.FORCED or (why is Why.ASKED and report.code in _ENDED_ON_REQUEST):
        return lambda session: finish.end_cancelled(session, token, report.metrics)
    if report.start_over is not None:
        cause = report.start_over
        return lambda session: finish.start_over(session, token, cause)
    if report.died is not None:
        died, reason = report.died, report.code if report.code in _LOSSES else Reason.WORKER_LOST
        return lambda session: finish.lose(session, token, cause=died, reason=reason, metrics=report.metrics)
    if report.code in _LOSSES and report.retryable:
        return lambda session: finish.lose(
            session, token, cause=report.message, reason=report.code, metrics=report.metrics
        )
    return lambda session: finish.fail(
        session,
        token,
        reason=report.code,
        message=report.message,
        retryable=report.retryable,
        retry_after=report.retry_after,
        metrics=report.metrics,
    )


def commit(database: Database, write: Callable[[Session], State]) -> State:
    """Write the ending, waiting as long as it takes for a database that is away; who is told to end does not wait for
    this thread (``workers/leaving.py``).

    Raises ``Fenced``, and ``SQLAlchemyError`` or ``ValueError`` for what the database refuses.
    """
    while True:
        try:
            with database.write() as session:
                return write(session)
        except OperationalError:
            log.warning("ending_not_written")
            time.sleep(_RETRY_SECONDS)
