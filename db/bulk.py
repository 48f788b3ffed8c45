"""Accepting many jobs in one transaction, with a few statements for all instead of several for each: on SQLite nobody
else can write meanwhile, and leases have to be renewed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from db.clock import read_now
from db.fairness import reserve_tags
from db.ids import new_id
from db.row_inserts import insert_rows
from db.rows import (
    DependencyRow,
    EventRow,
    FileRow,
    IdempotencyRow,
    JobFileRow,
    JobModelRow,
    JobRow,
    ModelVersionRow,
    Row,
    WebhookRow,
)
from db.states import EventType, State
from db.submit import IdempotencyConflict, NewJob, UnknownReference
from db.webhooks import first_values, webhook_values

# Well below what any database takes as the number of values in one statement.
_AT_ONCE = 500


# An owner, a queue and a precedence; the jobs of one line follow each other.
_Line = tuple[str, str, int]
# Fair tags that are reserved already.
Turns = Mapping[_Line, Sequence[int]]


class Accepted(NamedTuple):
    """A job that was written, or found under its idempotency key; ``fair_tag`` is told of those that were written."""

    job_id: str
    queue: str
    state: State
    fair_tag: int = 0


@dataclass(frozen=True)
class BulkKey:
    """The idempotency key of one item and the hash of its body."""

    key: str
    body_sha256: str


def reserve_turns(session: Session, owner_id: str, news: Sequence[NewJob], keys: Sequence[BulkKey] = ()) -> Turns:
    """Look at what ``submit_all`` is about to be given, and reserve the owner's fair tags for it. Raises as that does.

    To be done in a short transaction of its own where transactions run side by side: the owner's clock stays locked
    until its end, and whatever else the owner submits waits for that. The tags of jobs that are not written after all
    are turns that the owner misses.
    """
    _earlier_ones, fresh, states = _checked(session, owner_id, news, keys)
    waiting = _waiting(fresh, states)
    counts = Counter(_line(new) for index, new in fresh if index not in waiting)
    return {line: reserve_tags(session, *line, counts[line]) for line in sorted(counts)}


def submit_all(
    session: Session,
    owner_id: str,
    news: Sequence[NewJob],
    keys: Sequence[BulkKey] = (),
    turns: Turns | None = None,
) -> list[Accepted]:
    """Write all jobs, which belong to one owner, in order; ``keys`` has one for each, or none. Raises
    ``UnknownReference`` and ``IdempotencyConflict``, with the index of the item as ``args[1]``."""
    earlier, fresh, states = _checked(session, owner_id, news, keys)
    now = read_now(session)
    written = write_jobs(session, fresh, now, states, turns or {})
    if keys:
        keep_keys(session, [(owner_id, keys[index], job.job_id) for index, job in written.items()], now)
    return [earlier.get(index) or written[index] for index in range(len(news))]


def _checked(
    session: Session, owner_id: str, news: Sequence[NewJob], keys: Sequence[BulkKey]
) -> tuple[Mapping[int, Accepted], Sequence[tuple[int, NewJob]], Mapping[str, str | None]]:
    """What the keys already stand for, the rest, and the states of the jobs that the rest is to run after."""
    earlier = _earlier(session, owner_id, keys)
    fresh = [(index, new) for index, new in enumerate(news) if index not in earlier]
    _check_owned(session, FileRow, owner_id, ((index, new.file_ids) for index, new in fresh))
    _check_owned(session, ModelVersionRow, owner_id, ((index, new.model_version_ids) for index, new in fresh))
    return earlier, fresh, _check_owned(session, JobRow, owner_id, ((index, new.after) for index, new in fresh))


def keep_keys(session: Session, kept: Iterable[tuple[str, BulkKey, str]], now: datetime) -> None:
    """Let each owner's key stand for a job. Breaks on the primary key (``IntegrityError``) if it stands for one."""
    rows = [
        {"owner_id": owner_id, "key": key.key, "body_sha256": key.body_sha256, "job_id": job_id, "created_at": now}
        # On PostgreSQL two that keep the same keys would deadlock without a common order.
        for owner_id, key, job_id in sorted(kept, key=lambda one: (one[0], one[1].key))
    ]
    insert_rows(session, IdempotencyRow, rows)


def _earlier(session: Session, owner_id: str, keys: Sequence[BulkKey]) -> dict[int, Accepted]:
    """What the keys already stand for, by the item's index."""
    indexes = {key.key: index for index, key in enumerate(keys)}
    found: dict[int, Accepted] = {}
    for some in _chunks(list(indexes)):
        query = (
            select(IdempotencyRow.key, IdempotencyRow.body_sha256, JobRow.id, JobRow.queue, JobRow.state)
            .join(JobRow, JobRow.id == IdempotencyRow.job_id)
            .where(IdempotencyRow.owner_id == owner_id, IdempotencyRow.key.in_(some))
        )
        for key, body_sha256, job_id, queue, state in session.execute(query):
            index = indexes[key]
            if keys[index].body_sha256 != body_sha256:
                raise IdempotencyConflict(key, index)
            found[index] = Accepted(job_id, queue, State(state))
    return found


def _check_owned(
    session: Session,
    row: type[JobRow] | type[FileRow] | type[ModelVersionRow],
    owner_id: str,
    named: Iterable[tuple[int, Sequence[str]]],
) -> Mapping[str, str | None]:
    """Locks the rows that are named; returns their states, which only jobs have."""
    first_named: dict[str, int] = {}
    for index, ids in named:
        for wanted in ids:
            first_named.setdefault(wanted, index)
    state = JobRow.state if row is JobRow else row.id
    found: dict[str, str | None] = {}
    for some in _chunks(sorted(first_named)):
        query = select(row.id, state).where(row.id.in_(some), row.owner_id == owner_id).order_by(row.id)
        found |= dict(session.execute(query.with_for_update(key_share=True, read=True)).all())
    for wanted, index in first_named.items():
        if wanted not in found:
            raise UnknownReference(wanted, index)
    return found


def write_jobs(
    session: Session,
    fresh: Sequence[tuple[int, NewJob]],
    now: datetime,
    states: Mapping[str, str | None],
    reserved: Turns,
) -> dict[int, Accepted]:
    """Write jobs whose references were checked, with their first events; ``states`` are those of the jobs that they
    are to run after. Tags that are not ``reserved`` are reserved here."""
    waiting = _waiting(fresh, states)
    turns = _turns(session, (new for index, new in fresh if index not in waiting), reserved)
    accepted: dict[int, Accepted] = {}
    jobs: list[dict[str, Any]] = []
    for index, new in fresh:
        if index in waiting:
            accepted[index] = Accepted(new_id(), new.queue, State.WAITING)
        else:
            accepted[index] = Accepted(new_id(), new.queue, State.QUEUED, next(turns[_line(new)]))
        jobs.append(_job_values(accepted[index], new, now))
    insert_rows(session, JobRow, jobs)
    made = [(accepted[index].job_id, new) for index, new in fresh]
    insert_rows(session, DependencyRow, [{"job_id": i, "after_id": a} for i, new in made for a in set(new.after)])
    insert_rows(session, JobFileRow, [{"job_id": i, "file_id": f} for i, new in made for f in set(new.file_ids)])
    read = [{"job_id": i, "model_version_id": v} for i, new in made for v in set(new.model_version_ids)]
    insert_rows(session, JobModelRow, read)
    _insert(session, WebhookRow, [webhook_values(job_id, new.webhook) for job_id, new in made if new.webhook])
    data = {state: {"state": state, "attempt": 0} for state in (State.WAITING, State.QUEUED)}
    first = {"seq": 1, "attempt": 0, "type": EventType.STATE, "created_at": now}
    events = [{"job_id": job.job_id, "data": data[job.state], **first} for job in accepted.values()]
    insert_rows(session, EventRow, events)
    return accepted


def _waiting(fresh: Sequence[tuple[int, NewJob]], states: Mapping[str, str | None]) -> Set[int]:
    return {
        index
        for index, new in fresh
        if new.run_at is not None or any(states[after] != State.SUCCEEDED for after in new.after)
    }


def _turns(session: Session, queued: Iterable[NewJob], reserved: Turns) -> Mapping[_Line, Iterator[int]]:
    """The fair tags of each owner's jobs of each queue and precedence."""
    counts = Counter(map(_line, queued))
    tags: dict[_Line, Iterator[int]] = {}
    for line in sorted(counts):
        ready = reserved.get(line, ())
        missing = counts[line] - len(ready)
        tags[line] = chain(ready, reserve_tags(session, *line, missing) if missing > 0 else ())
    return tags


def _line(new: NewJob) -> _Line:
    return new.owner_id, new.queue, 9 - new.priority


def _job_values(job: Accepted, new: NewJob, now: datetime) -> dict[str, Any]:
    return {
        "id": job.job_id,
        "owner_id": new.owner_id,
        "kind": new.kind,
        "queue": new.queue,
        "movable": new.movable,
        "state": job.state,
        "precedence": 9 - new.priority,
        "fair_tag": job.fair_tag,
        "spec": new.spec,
        "tags": new.tags,
        "max_attempts": new.max_attempts,
        "time_limit_seconds": None if new.time_limit is None else new.time_limit.total_seconds(),
        "deadline_at": None if new.deadline is None else now + new.deadline,
        "run_at": new.run_at,
        "created_at": now,
        "queued_at": now if job.state == State.QUEUED else None,
        "last_event_seq": 1,
        **first_values(new.webhook),
    }


def _insert(session: Session, row: type[Row], values: Sequence[dict[str, Any]]) -> None:
    if values:
        session.execute(insert(row), values)


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))
