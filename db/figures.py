"""Figures for monitoring, read so that a long backlog does not make them slow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, literal, select, tuple_
from sqlalchemy.orm import Session

from db.claims import LEASE
from db.clock import UtcTime, read_now
from db.rows import AttemptRow, JobRow
from db.states import State
from db.workers import live_workers, oldest_queued

_PAGE = 5000


@dataclass
class QueueFigures:
    """One queue at one moment. Ages and times to come are in seconds; None where there is nothing to measure."""

    jobs: dict[str, int] = field(default_factory=lambda: {state.value: 0 for state in State})
    oldest_queued_age: float | None = None
    hinted: int = 0
    leases_held: int = 0
    leases_lapsed: int = 0
    oldest_renewal_age: float | None = None
    next_expiry: float | None = None
    workers: int = 0
    slots: int = 0
    models: int = 0
    model_bytes: int = 0


def queue_figures(session: Session, queues: Sequence[str]) -> Mapping[str, QueueFigures]:
    """The figures of these queues, and of others that have jobs or workers."""
    now = read_now(session)
    found = {queue: QueueFigures() for queue in queues}
    counts = select(JobRow.queue, JobRow.state, func.count()).group_by(JobRow.queue, JobRow.state)
    for queue, state, count in session.execute(counts):
        found.setdefault(queue, QueueFigures()).jobs[state] = count
    for worker in live_workers(session):
        figures = found.setdefault(worker.queue, QueueFigures())
        figures.workers += 1
        figures.slots += worker.slots
        figures.models += len(worker.models)
        figures.model_bytes += sum(model["bytes"] for model in worker.models)
    for queue, oldest in oldest_queued(session, list(found)).items():
        found[queue].oldest_queued_age = (now - oldest).total_seconds()
    _add_hints(session, found)
    _add_leases(session, found, now)
    return found


def _add_hints(session: Session, found: Mapping[str, QueueFigures]) -> None:
    for queue, figures in found.items():
        marked = select(func.count()).where(
            JobRow.queue == queue, JobRow.state == State.QUEUED, JobRow.hinted_at.is_not(None)
        )
        figures.hinted = session.scalar(marked) or 0


def _add_leases(session: Session, found: dict[str, QueueFigures], now: datetime) -> None:
    held = JobRow.lease_expires_at.is_not(None)
    for queue, expires_at in session.execute(
        select(JobRow.queue, JobRow.lease_expires_at).where(JobRow.state == State.RUNNING, held)
    ):
        if expires_at is None:
            raise ValueError("a job runs without a lease")
        figures = found.setdefault(queue, QueueFigures())
        left = (expires_at - now).total_seconds()
        if left < 0:
            figures.leases_lapsed += 1
        else:
            figures.leases_held += 1
            figures.next_expiry = left if figures.next_expiry is None else min(left, figures.next_expiry)
        age = LEASE.total_seconds() - left
        figures.oldest_renewal_age = age if figures.oldest_renewal_age is None else max(age, figures.oldest_renewal_age)


@dataclass(frozen=True)
class EndedAttempt:
    """An attempt that is over, with what it measured."""

    job_id: str
    attempt: int
    queue: str
    kind: str
    outcome: str
    ended_at: datetime
    metrics: Mapping[str, Any]


def attempts_ended_after(session: Session, moment: datetime) -> Iterator[EndedAttempt]:
    """In the order of their ends, read in pages. One whose transaction is still open appears later, with an end that
    lies before those that were read: ask again from a moment that is earlier by as long as a transaction may take."""
    position = (moment, "", 0)
    order = (AttemptRow.ended_at, AttemptRow.job_id, AttemptRow.attempt)
    while True:
        ended_at, job_id, attempt = position
        after = tuple_(literal(ended_at, UtcTime), literal(job_id), literal(attempt))
        page = session.execute(
            select(
                AttemptRow.job_id,
                AttemptRow.attempt,
                JobRow.queue,
                JobRow.kind,
                AttemptRow.outcome,
                AttemptRow.ended_at,
                AttemptRow.metrics,
            )
            .join(JobRow, JobRow.id == AttemptRow.job_id)
            # The first condition is one that every database takes the index for.
            .where(AttemptRow.ended_at.is_not(None), AttemptRow.ended_at >= ended_at, tuple_(*order) > after)
            .order_by(*order)
            .limit(_PAGE)
        ).all()
        for row in page:
            ended = EndedAttempt(*row)
            yield ended
            position = (ended.ended_at, ended.job_id, ended.attempt)
        if len(page) < _PAGE:
            return
