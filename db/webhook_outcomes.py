"""Writing down how deliveries of webhooks went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import case, literal, select, update
from sqlalchemy.orm import Session

from db.clock import db_now
from db.pairs import either_pair
from db.rows import WebhookRow
from db.webhooks import Delivery, WebhookEnd

# The same for every job whose end was delivered, so that many are written by one statement.
_DELIVERED_ALL: dict[str, Any] = {
    "delivered": WebhookRow.delivered + 1,
    "told_seq": WebhookRow.known_seq,
    "ended": WebhookEnd.DELIVERED,
    "due_at": None,
    "tries": WebhookRow.tries + 1,
}


@dataclass(frozen=True)
class Outcome:
    """How a try went. ``pause`` is the time until the next one; without it there is none. ``status`` is the receiver's
    answer, if there was one."""

    delivery: Delivery
    status: int | None = None
    problem: str | None = None
    gone: bool = False
    pause: timedelta | None = None


def settle(session: Session, outcomes: Sequence[Outcome]) -> int:
    """Write down how tries went; returns how many of them had lost their lease to another deliverer, which are left
    to that one."""
    # In order, so that two of these at once can't wait for each other.
    ids = sorted(outcome.delivery.job_id for outcome in outcomes)
    locked = select(WebhookRow.job_id).where(WebhookRow.job_id.in_(ids)).order_by(WebhookRow.job_id).with_for_update()
    session.execute(locked).all()
    settled = 0
    ends: dict[int | None, list[Delivery]] = {}
    for outcome in outcomes:
        if outcome.problem is None and outcome.delivery.is_last:
            ends.setdefault(outcome.status, []).append(outcome.delivery)
        else:
            settled += _settle(session, [outcome.delivery], outcome, _progress(outcome))
    for status, deliveries in ends.items():
        settled += _settle(session, deliveries, Outcome(deliveries[0], status), _DELIVERED_ALL)
    return len(outcomes) - settled


def _settle(session: Session, deliveries: Sequence[Delivery], outcome: Outcome, progress: Mapping[str, Any]) -> int:
    """Returns how many of them still had their lease."""
    leases = [(delivery.job_id, delivery.lease_id) for delivery in deliveries]
    settled = session.execute(
        update(WebhookRow)
        .where(either_pair(WebhookRow.job_id, WebhookRow.lease_id, leases))
        .values(
            lease_id=None, last_try_at=db_now(), last_status=outcome.status, last_problem=outcome.problem, **progress
        )
        .returning(WebhookRow.job_id)
        .execution_options(synchronize_session=False)
    )
    return len(settled.all())


def _progress(outcome: Outcome) -> dict[str, Any]:
    """Of an outcome that is no delivery of a job's end."""
    delivery = outcome.delivery
    if outcome.gone:
        return {"ended": WebhookEnd.GONE, "due_at": None, "tries": delivery.tries + 1}
    if outcome.problem is not None and outcome.pause is not None:
        return {"due_at": db_now(outcome.pause), "tries": delivery.tries + 1}
    missed = {"missed": WebhookRow.missed + 1, "told_seq": delivery.seq}
    if delivery.is_last:
        return {**missed, "ended": WebhookEnd.MISSED, "due_at": None, "tries": delivery.tries + 1}
    more = case((WebhookRow.known_seq > literal(delivery.seq), db_now()), else_=None)
    told = {"delivered": WebhookRow.delivered + 1, "told_seq": delivery.seq} if outcome.problem is None else missed
    return {**told, "due_at": more, "tries": 0}
