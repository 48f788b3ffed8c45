"""Accepting the submissions of many requests in one transaction: one commit, and one wait for the disk, for all.

Only jobs that can be queued at once and name nothing of their owner's come here: nothing about one of them can make
another one fail, nor wait for longer than a moment, as their owners' clocks are locked for no longer. What an
idempotency key says is answered for each apart.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from db.bulk import BulkKey, keep_keys, write_jobs
from db.clock import read_now
from db.pairs import either_pair
from db.rows import IdempotencyRow, JobRow
from db.states import State
from db.submit import NewJob


@dataclass(frozen=True)
class Submission:
    """A job that is to be queued at once, without files and other jobs; ``key`` is its idempotency key, if any.
    ``counts``: whether somebody wants to know how many jobs come before it."""

    new: NewJob
    key: BulkKey | None = None
    counts: bool = True


@dataclass(frozen=True)
class Queued:
    """A new job. ``ahead`` of the queue's jobs come before it, counted no further than was asked; None if nobody
    asked."""

    job_id: str
    queued_at: datetime
    ahead: int | None


@dataclass(frozen=True)
class Earlier:
    """The job that the key already stood for."""

    job_id: str


@dataclass(frozen=True)
class KeyReused:
    """The key stands for a job that was submitted with another body."""


Outcome = Queued | Earlier | KeyReused


def submit_group(session: Session, submissions: Sequence[Submission], count_up_to: int) -> list[Outcome]:
    """One outcome for each, in order. Breaks (``IntegrityError``) when a key is taken elsewhere meanwhile; then the
    next try finds the job that it stands for."""
    outcomes: dict[int, Outcome] = {}
    firsts: dict[tuple[str, str], int] = {}
    repeated: dict[int, int] = {}
    for index, (owned, known) in enumerate(_with_known(session, submissions)):
        key = submissions[index].key
        if key is None or owned is None:
            continue
        if known is not None:
            outcomes[index] = Earlier(known[0]) if known[1] == key.body_sha256 else KeyReused()
        elif (first := firsts.setdefault(owned, index)) != index:
            repeated[index] = first
    fresh = [(i, one.new) for i, one in enumerate(submissions) if i not in outcomes and i not in repeated]
    outcomes |= _write(session, submissions, fresh, count_up_to)
    for index, first in repeated.items():
        outcomes[index] = _like_the_first(submissions[index], submissions[first], outcomes[first])
    return [outcomes[index] for index in range(len(submissions))]


def _with_known(
    session: Session, submissions: Sequence[Submission]
) -> Iterable[tuple[tuple[str, str] | None, tuple[str, str] | None]]:
    """For each its owner's key, and what that stands for: a job's id and the hash of its body."""
    owned = [None if one.key is None else (one.new.owner_id, one.key.key) for one in submissions]
    asked = sorted({key for key in owned if key is not None})
    known: dict[tuple[str, str], tuple[str, str]] = {}
    if asked:
        columns = (IdempotencyRow.owner_id, IdempotencyRow.key, IdempotencyRow.job_id, IdempotencyRow.body_sha256)
        which = either_pair(IdempotencyRow.owner_id, IdempotencyRow.key, asked)
        query = select(*columns).where(which, IdempotencyRow.key.in_({key for _owner, key in asked}))
        known = {(owner_id, key): (job_id, sha) for owner_id, key, job_id, sha in session.execute(query)}
    return [(key, None if key is None else known.get(key)) for key in owned]


def _write(
    session: Session, submissions: Sequence[Submission], fresh: Sequence[tuple[int, NewJob]], count_up_to: int
) -> Mapping[int, Queued]:
    if not fresh:
        return {}
    now = read_now(session)
    written = write_jobs(session, fresh, now, {}, {})
    keyed = [(submissions[i].new.owner_id, submissions[i].key, job.job_id) for i, job in written.items()]
    keep_keys(session, [(owner_id, key, job_id) for owner_id, key, job_id in keyed if key is not None], now)
    ahead: dict[str, int] = {}
    counted = [(i, new) for i, new in fresh if submissions[i].counts]
    for queue in {new.queue for _, new in counted}:
        keys = {(9 - new.priority, written[i].fair_tag, written[i].job_id) for i, new in counted if new.queue == queue}
        ahead |= _count_ahead(session, queue, keys, count_up_to)
    return {index: Queued(job.job_id, now, ahead.get(job.job_id)) for index, job in written.items()}


def _like_the_first(again: Submission, first: Submission, outcome: Outcome) -> Outcome:
    """Two requests of one group with the same key."""
    if again.key is None or first.key is None or not isinstance(outcome, Queued):
        raise ValueError("only what was written with a key can be repeated")
    return Earlier(outcome.job_id) if again.key.body_sha256 == first.key.body_sha256 else KeyReused()


def _count_ahead(session: Session, queue: str, keys: Set[tuple[int, int, str]], at_most: int) -> Mapping[str, int]:
    """By id, how many queued jobs come before those that have these places in the queue's order."""
    connection = session.connection()
    # Where all of them come after the last one that counts, which is so behind a backlog, no more is read than that.
    last = connection.execute(_LINE, {"of_queue": queue, "many": 1, "past": at_most - 1}).first()
    if last is not None and all(key > tuple(last) for key in keys):
        return {job_id: at_most for _precedence, _tag, job_id in keys}
    first = [tuple(place) for place in connection.execute(_LINE, {"of_queue": queue, "many": at_most, "past": 0})]
    return {key[2]: bisect_left(first, key) for key in keys}


# Built once, since that takes longer than running it.
_ORDER = (JobRow.precedence, JobRow.fair_tag, JobRow.id)
_LINE = (
    select(*_ORDER)
    .where(JobRow.queue == bindparam("of_queue"), JobRow.state == State.QUEUED)
    .order_by(*_ORDER)
    .limit(bindparam("many"))
    .offset(bindparam("past"))
)
