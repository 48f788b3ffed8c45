"""Waiting jobs: released when their time has come and the jobs they wait for have succeeded."""

from collections.abc import Sequence
from itertools import groupby

from sqlalchemy import exists, literal_column, select, update
from sqlalchemy.orm import Session, aliased

from db.clock import db_now
from db.events import append_state
from db.fairness import reserve_tags
from db.finish import end_open_job
from db.rows import DependencyRow, JobRow
from db.states import Reason, State

_BATCH = 500
# The partial index serves a condition in its own words only, not a parameter.
_IS_WAITING = JobRow.state == literal_column(f"'{State.WAITING}'")


def settle_waiting(session: Session) -> set[str]:
    """Queue what may run, fail what waits for a job that did not succeed; returns the queues that got work."""
    _fail_hopeless(session)
    return _release_due(session)


def _release_due(session: Session) -> set[str]:
    earlier = aliased(JobRow)
    unmet = exists().where(
        DependencyRow.job_id == JobRow.id, earlier.id == DependencyRow.after_id, earlier.state != State.SUCCEEDED
    )
    due = (
        select(JobRow.id)
        .where(_IS_WAITING, (JobRow.run_at.is_(None)) | (JobRow.run_at <= db_now()), ~unmet)
        .limit(_BATCH)
        .with_for_update(skip_locked=True, of=JobRow)
    )
    ids = session.scalars(due).all()
    if not ids:
        return set()
    released = session.scalars(
        update(JobRow)
        .where(JobRow.id.in_(ids), JobRow.state == State.WAITING)
        .values(state=State.QUEUED, queued_at=db_now(), hinted_at=None)
        .returning(JobRow)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).all()
    _give_turns(session, [job for job in released if job.attempt == 0])
    for job in released:
        append_state(session, job.id, attempt=job.attempt, state=State.QUEUED)
    return {job.queue for job in released}


def _give_turns(session: Session, jobs: Sequence[JobRow]) -> None:
    """Tags for jobs that are queued for the first time; had they one from their submission, a long wait would have
    saved up turns."""

    def line(job: JobRow) -> tuple[str, str, int]:
        return job.owner_id, job.queue, job.precedence

    for owner_line, members in groupby(sorted(jobs, key=lambda job: (line(job), job.id)), key=line):
        together = list(members)
        tags = reserve_tags(session, *owner_line, len(together))
        for job, tag in zip(together, tags, strict=True):
            job.fair_tag = tag
    session.flush()


def _fail_hopeless(session: Session) -> None:
    earlier = aliased(JobRow)
    hopeless = (
        select(JobRow, earlier.id, earlier.state)
        .join(DependencyRow, DependencyRow.job_id == JobRow.id)
        .join(earlier, earlier.id == DependencyRow.after_id)
        .where(_IS_WAITING, earlier.state.in_((State.FAILED, State.CANCELLED)))
        .limit(_BATCH)
        .with_for_update(skip_locked=True, of=JobRow)
    )
    for job, earlier_id, earlier_state in session.execute(hopeless).all():
        if State(job.state) is State.WAITING:
            message = f"Job {earlier_id}, which it waited for, is {earlier_state}."
            end_open_job(session, job, State.FAILED, Reason.DEPENDENCY_FAILED, message)


def waits_for(session: Session, job_id: str) -> Sequence[str]:
    """The ids of the jobs that this one still waits for."""
    earlier = aliased(JobRow)
    return session.scalars(
        select(earlier.id)
        .join(DependencyRow, DependencyRow.after_id == earlier.id)
        .where(DependencyRow.job_id == job_id, earlier.state != State.SUCCEEDED)
        .order_by(earlier.id)
    ).all()
