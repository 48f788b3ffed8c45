"""Telling a job's webhook of the job's events, in order, each at least once.

Nothing is asked of whoever writes events. A change of a job that has a webhook enters that job into a partial index by
itself; ``notice`` empties the index into the webhooks' own rows, from where ``take`` leases deliveries; how they went
is written down by ``db.webhook_outcomes``. Jobs without a webhook are in neither, so however many there are, they cost
nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, case, exists, func, select, text, update
from sqlalchemy.orm import Session

from db.clock import db_now, read_now
from db.ids import new_id
from db.rows import UNTOLD, EventRow, JobRow, WebhookRow
from db.states import FINAL_STATES, EventType, State
from db.webhook_secrets import signing_secrets

# Longer than any try takes; a deliverer that died is followed by another after it.
LEASE = timedelta(seconds=20)
_AT_ONCE = 500
_TOLD = "told"


def _select_due_hosts() -> Select[str]:
    """Asks the index once for each receiver, however much is due for it."""
    has_time = WebhookRow.due_at.is_not(None)
    hosts = select(func.min(WebhookRow.host).label("host")).where(has_time).cte(recursive=True)
    following = select(func.min(WebhookRow.host)).where(WebhookRow.host > hosts.c.host, has_time).scalar_subquery()
    hosts = hosts.union_all(select(following).where(hosts.c.host.is_not(None)))
    earliest = select(func.min(WebhookRow.due_at)).where(WebhookRow.host == hosts.c.host, has_time).scalar_subquery()
    each = select(hosts.c.host, earliest.label("due_at")).where(hosts.c.host.is_not(None)).subquery()
    return select(each.c.host).where(each.c.due_at <= db_now()).order_by(each.c.due_at)


# Asked every half a second; putting them together takes longer than running them.
_ANYTHING_UNTOLD = select(exists().select_from(JobRow).where(text(UNTOLD)))
_DUE_HOSTS = _select_due_hosts()


class WebhookEnd(StrEnum):
    """Why nothing more comes: the job's end was delivered, was given up, or the receiver said 410 Gone."""

    DELIVERED = "delivered"
    MISSED = "missed"
    GONE = "gone"


@dataclass(frozen=True)
class NewWebhook:
    """Where to tell of a job, and of which of its events: ``final`` or ``state``, or both. ``host`` is what counts as
    one receiver."""

    url: str
    host: str
    events: Sequence[EventType] = (EventType.FINAL,)


@dataclass(frozen=True)
class Delivery:
    """An event to be delivered by whoever holds the lease. ``is_last``: it tells of the job's end."""

    job_id: str
    lease_id: str
    seq: int
    is_last: bool
    tries: int
    url: str
    host: str
    secrets: Sequence[str]
    taken_at: datetime
    message: Mapping[str, Any]


@dataclass(frozen=True)
class Backlog:
    """What is due now and when the oldest of it became so."""

    due: int = 0
    oldest_due_at: datetime | None = None


def first_values(webhook: NewWebhook | None) -> dict[str, Any]:
    """The new job's columns: what its webhook was told differs from any state."""
    if webhook is None:
        return {"webhook": None, "webhook_state": None, "webhook_attempt": None}
    which = EventType.STATE if EventType.STATE in webhook.events else EventType.FINAL
    return {"webhook": which, "webhook_state": "", "webhook_attempt": 0}


def webhook_values(job_id: str, webhook: NewWebhook) -> dict[str, Any]:
    """The row that belongs to the new job."""
    return {"job_id": job_id, "url": webhook.url, "host": webhook.host, "events": list(webhook.events)}


def webhook_of(session: Session, job: JobRow) -> NewWebhook | None:
    """What was asked for the job, for another one that is to be told of in the same way."""
    row = webhooks_of(session, [job]).get(job.id)
    return None if row is None else NewWebhook(row.url, row.host, [EventType(event) for event in row.events])


def webhooks_of(session: Session, jobs: Sequence[JobRow]) -> Mapping[str, WebhookRow]:
    """The webhooks of those of the jobs that have one, by the job's id."""
    ids = [job.id for job in jobs if job.webhook is not None]
    if not ids:
        return {}
    return {row.job_id: row for row in session.scalars(select(WebhookRow).where(WebhookRow.job_id.in_(ids)))}


def anything_untold(session: Session) -> bool:
    """Whether ``notice`` would find something; to be asked often."""
    return bool(session.scalar(_ANYTHING_UNTOLD))


def notice(session: Session) -> int:
    """Make deliverable what happened to jobs since it was last done; returns for how many jobs, a batch at most."""
    # Both rows are locked without waiting for either: nobody else locks several of them in this order.
    changed = (
        select(JobRow.id)
        .join(WebhookRow, WebhookRow.job_id == JobRow.id)
        .where(text(UNTOLD))
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(changed).all()
    if not ids:
        return 0
    newest = select(JobRow.last_event_seq).where(JobRow.id == WebhookRow.job_id).scalar_subquery()
    session.execute(
        update(WebhookRow)
        .where(WebhookRow.job_id.in_(ids), WebhookRow.ended.is_(None))
        # One that waits for its next try goes on waiting.
        .values(known_seq=newest, due_at=func.coalesce(WebhookRow.due_at, db_now()))
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(JobRow)
        .where(JobRow.id.in_(ids))
        .values(
            webhook=case((JobRow.finished_at.is_not(None), _TOLD), else_=JobRow.webhook),
            webhook_state=JobRow.state,
            webhook_attempt=JobRow.attempt,
        )
        .execution_options(synchronize_session=False)
    )
    return len(ids)


def due_hosts(session: Session) -> Sequence[str]:
    """The receivers that something is due for, the one that waits longest first."""
    return session.scalars(_DUE_HOSTS).all()


def take(session: Session, room: int, room_at: Mapping[str, int], room_at_others: int) -> Sequence[Delivery]:
    """Lease up to ``room`` deliveries that are due, of each receiver as many as there is room at it."""
    due: list[tuple[WebhookRow, JobRow]] = []
    now = read_now(session)
    for host in due_hosts(session):
        free = min(room_at.get(host, room_at_others), room - len(due))
        if free <= 0:
            continue
        query = (
            select(WebhookRow, JobRow)
            .join(JobRow, JobRow.id == WebhookRow.job_id)
            .where(WebhookRow.host == host, WebhookRow.due_at.is_not(None), WebhookRow.due_at <= db_now())
            .order_by(WebhookRow.due_at)
            .limit(free)
            .with_for_update(skip_locked=True, of=WebhookRow)
        )
        due += [(webhook, job) for webhook, job in session.execute(query)]
    return _lease(session, due, now) if due else ()


def backlog(session: Session) -> Backlog:
    due = WebhookRow.due_at.is_not(None) & (WebhookRow.due_at <= db_now())
    count, oldest = session.execute(select(func.count(), func.min(WebhookRow.due_at)).where(due)).one()
    return Backlog(count, oldest)


def _lease(session: Session, due: Sequence[tuple[WebhookRow, JobRow]], now: datetime) -> Sequence[Delivery]:
    events = _next_events(session, [webhook for webhook, _job in due])
    lease_id = new_id()
    owners = {job.owner_id for webhook, job in due if webhook.job_id in events}
    secrets = {owner_id: signing_secrets(session, owner_id) for owner_id in sorted(owners)}
    leased = update(WebhookRow).where(WebhookRow.job_id.in_(events)).values(lease_id=lease_id, due_at=db_now(LEASE))
    session.execute(leased.execution_options(synchronize_session=False))
    taken = []
    for webhook, job in due:
        event = events.get(job.id)
        if event is None:
            _pass_over(webhook, job)
            continue
        taken.append(
            Delivery(
                job_id=job.id,
                lease_id=lease_id,
                seq=event.seq,
                is_last=event.data["state"] in FINAL_STATES,
                tries=webhook.tries,
                url=webhook.url,
                host=webhook.host,
                secrets=secrets[job.owner_id],
                taken_at=now,
                message=_message(job, event),
            )
        )
    session.flush()
    return taken


def _pass_over(webhook: WebhookRow, job: JobRow) -> None:
    """Only what it does not want to hear of happened, or the event was forgotten before it could be delivered."""
    webhook.told_seq, webhook.due_at = webhook.known_seq, None
    if State(job.state).is_final and job.last_event_seq <= webhook.known_seq:
        webhook.ended = WebhookEnd.MISSED
        webhook.last_problem = "The job's events were forgotten before they could be delivered."


def _next_events(session: Session, webhooks: Sequence[WebhookRow]) -> dict[str, EventRow]:
    """For each the first event that it wants to hear of, if there is one. The end comes as ``state`` and as ``final``;
    who wants to hear of both is told once."""
    untold = (
        select(EventRow)
        .join(WebhookRow, WebhookRow.job_id == EventRow.job_id)
        .where(
            EventRow.job_id.in_([webhook.job_id for webhook in webhooks]),
            EventRow.type.in_((EventType.STATE, EventType.FINAL)),
            EventRow.seq > WebhookRow.told_seq,
            EventRow.seq <= WebhookRow.known_seq,
        )
        .order_by(EventRow.job_id, EventRow.seq)
    )
    wanted = {webhook.job_id: webhook.events for webhook in webhooks}
    first: dict[str, EventRow] = {}
    for event in session.scalars(untold):
        events = wanted[event.job_id]
        told_as_final = (
            event.type == EventType.STATE and event.data["state"] in FINAL_STATES and EventType.FINAL in events
        )
        if event.type in events and not told_as_final:
            first.setdefault(event.job_id, event)
    return first


def _message(job: JobRow, event: EventRow) -> Mapping[str, Any]:
    """What the receiver reads; the same at every try, so of the job it holds only what never changes."""
    data = {
        "job_id": job.id,
        "seq": event.seq,
        "state": event.data["state"],
        "reason": event.data.get("reason"),
        "error": event.data.get("error"),
        "attempt": event.attempt,
        "kind": job.kind,
        "queue": job.queue,
        "tags": job.tags,
        "retry_of": job.retry_of,
        "submitted_at": job.created_at.isoformat(),
    }
    return {"type": f"job.{event.type}", "timestamp": event.created_at.isoformat(), "data": data}
