"""A job's event stream: numbered per job without gaps, under the job's row lock."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.clock import db_now
from db.row_inserts import insert_rows
from db.rows import EventRow, JobRow
from db.states import EventType, State


@dataclass(frozen=True)
class NewEvent:
    """An event that has no number yet."""

    type: EventType
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Numbered:
    """Events of one job whose numbers, up to ``last_seq``, are reserved for them; ``at`` is the database's time."""

    job_id: str
    attempt: int
    last_seq: int
    at: datetime
    events: Sequence[NewEvent]


@dataclass(frozen=True)
class Standing:
    """How far a job is: the number of its newest event, and whether that was the last one."""

    job_id: str
    last_event_seq: int
    is_final: bool


def state_events(
    state: State, attempt: int, *, reason: str | None = None, error: Mapping[str, Any] | None = None
) -> list[NewEvent]:
    """What tells of a change of state; a final one is told as ``final`` too, which ends the stream."""
    data: dict[str, Any] = {"state": state, "attempt": attempt}
    if reason is not None:
        data["reason"] = reason
    if error is not None:
        data["error"] = dict(error)
    told = [NewEvent(EventType.STATE, data)]
    return [*told, NewEvent(EventType.FINAL, data)] if state.is_final else told


def append_state(
    session: Session,
    job_id: str,
    *,
    attempt: int,
    state: State,
    reason: str | None = None,
    error: Mapping[str, Any] | None = None,
) -> None:
    """Tell of a change of state."""
    append(session, job_id, attempt, state_events(state, attempt, reason=reason, error=error))


def append(session: Session, job_id: str, attempt: int, events: Sequence[NewEvent]) -> None:
    """Number and write events. The caller has made sure that it may: it changed the job in this transaction."""
    last, now = session.execute(
        update(JobRow)
        .where(JobRow.id == job_id)
        .values(last_event_seq=JobRow.last_event_seq + len(events))
        .returning(JobRow.last_event_seq, db_now())
        .execution_options(synchronize_session=False)
    ).one()
    write_numbered(session, [Numbered(job_id, attempt, last, now, events)])


def write_numbered(session: Session, numbered: Iterable[Numbered]) -> None:
    """Write events whose numbers the caller has reserved, in one statement."""
    rows = [
        {
            "job_id": one.job_id,
            "seq": seq,
            "attempt": one.attempt,
            "type": event.type,
            "data": event.data,
            "created_at": one.at,
        }
        for one in numbered
        for seq, event in enumerate(one.events, start=one.last_seq - len(one.events) + 1)
    ]
    insert_rows(session, EventRow, rows)


def events_after(session: Session, job_id: str, seq: int, limit: int) -> Sequence[EventRow]:
    """Events of one job with a number above ``seq``, in order."""
    query = select(EventRow).where(EventRow.job_id == job_id, EventRow.seq > seq).order_by(EventRow.seq).limit(limit)
    return session.scalars(query).all()


def standing_of(session: Session, job_ids: Collection[str]) -> list[Standing]:
    """How far these jobs are, those that exist."""
    # One condition per job would exceed SQLite's limit on the depth of an expression at a thousand watched jobs.
    query = select(JobRow.id, JobRow.last_event_seq, JobRow.state).where(JobRow.id.in_(job_ids))
    return [Standing(job_id, seq, State(state).is_final) for job_id, seq, state in session.execute(query)]
