"""The ways in which an attempt ends: what a worker commits, and what should become of the job."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from hypothesis import strategies as st
from sqlalchemy.orm import Session

from db import finish
from db.claims import Token
from db.states import Reason
from tests.integration.lease_protocol.model import Job


@dataclass(frozen=True)
class Ending:
    """``only_if_asked``: it is refused for a job of which nothing was asked."""

    write: Callable[[Session, Token], object]
    foresee: Callable[[Job, datetime], None]
    only_if_asked: bool = False


def _success(session: Session, token: Token) -> object:
    return finish.succeed(session, token, {"by": token.attempt}, {"run_seconds": 1})


def _failure(session: Session, token: Token, reason: Reason, *, retryable: bool, pause: float | None = None) -> object:
    after = None if pause is None else timedelta(seconds=pause)
    return finish.fail(session, token, reason=reason, message="no", retryable=retryable, metrics={}, retry_after=after)


def _may_help(pause: float | None = None) -> Ending:
    reason = Reason.UPSTREAM_ERROR
    return Ending(
        partial(_failure, reason=reason, retryable=True, pause=pause),
        lambda job, now: job.failed(reason, now, retryable=True, pause=pause),
    )


def _loss(reason: Reason) -> Ending:
    return Ending(
        lambda session, token: finish.lose(session, token, cause="It died.", reason=reason),
        lambda job, now: job.lost(reason, now),
    )


ENDINGS = {
    "success": Ending(_success, lambda job, _now: job.succeeded({"by": job.attempt})),
    "a failure that another attempt may mend": _may_help(),
    "a failure that asks for a long pause": _may_help(pause=60),
    "a failure for good": Ending(
        partial(_failure, reason=Reason.INVALID_INPUT, retryable=False),
        lambda job, now: job.failed(Reason.INVALID_INPUT, now, retryable=False),
    ),
    "the loss of the runner": _loss(Reason.WORKER_LOST),
    "the loss of the cluster": _loss(Reason.CLUSTER_LOST),
    "a hand-back": Ending(finish.hand_back, lambda job, now: job.handed_back(now)),
    "the end that was asked for": Ending(
        lambda session, token: finish.end_cancelled(session, token, {}),
        lambda job, _now: job.ended_as_asked(),
        only_if_asked=True,
    ),
}

# Success most of all: it is what others must be able to prevent.
ENDING = st.sampled_from(["success"] * 3 + list(ENDINGS))
REPEATABLE = ("the loss of the runner", "the loss of the cluster", "a failure that another attempt may mend")
