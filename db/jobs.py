"""Reading jobs, their attempts, leaderboards and artifacts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Text, bindparam, cast, func, select
from sqlalchemy.orm import Session

from db.rows import ArtifactRow, AttemptRow, DependencyRow, JobRow, LeaderboardEntryRow, LeaderboardRow
from db.states import State


@dataclass(frozen=True)
class JobFilter:
    """Which jobs to list. ``owner_id=None`` means every owner's; ``before_id`` continues a listing."""

    owner_id: str | None
    state: str | None = None
    kind: str | None = None
    queue: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    before_id: str | None = None


@dataclass(frozen=True)
class Links:
    """The name of the worker that has a job or ended it, and the ids that the job was submitted to run after."""

    worker: str | None
    after: Sequence[str]


# Every answer about a job takes them, and they are built once, since that takes longer than running them.
_ASKED = JobRow.id.in_(bindparam("ids", expanding=True))
_HAS_WORKER = (AttemptRow.job_id == JobRow.id) & (AttemptRow.attempt == JobRow.attempt) & JobRow.worker_id.is_not(None)
_ALL = select(JobRow).where(_ASKED)
_LINKS = (
    select(JobRow.id, AttemptRow.worker_name, DependencyRow.after_id)
    .outerjoin(AttemptRow, _HAS_WORKER)
    .outerjoin(DependencyRow, DependencyRow.job_id == JobRow.id)
    .where(_ASKED)
    .order_by(DependencyRow.after_id)
)


def find(session: Session, job_id: str, owner_id: str | None) -> JobRow | None:
    """The job, if it belongs to the owner (None: whoever it belongs to)."""
    job = session.get(JobRow, job_id)
    return None if job is None or (owner_id is not None and job.owner_id != owner_id) else job


def find_all(session: Session, job_ids: Collection[str]) -> Mapping[str, JobRow]:
    """Those of the jobs that exist, by their ids, whoever they belong to."""
    return {job.id: job for job in session.scalars(_ALL, {"ids": list(job_ids)})}


def list_jobs(session: Session, wanted: JobFilter, limit: int) -> Sequence[JobRow]:
    """Newest first."""
    query = select(JobRow).order_by(JobRow.id.desc()).limit(limit)
    for column, value in (
        (JobRow.owner_id, wanted.owner_id),
        (JobRow.state, wanted.state),
        (JobRow.kind, wanted.kind),
        (JobRow.queue, wanted.queue),
    ):
        if value is not None:
            query = query.where(column == value)
    for name, value in wanted.tags.items():
        query = query.where(JobRow.tags[name].as_string() == cast(value, Text))
    if wanted.before_id is not None:
        query = query.where(JobRow.id < wanted.before_id)
    return session.scalars(query).all()


def jobs_ahead(session: Session, job: JobRow, at_most: int = 1000) -> int:
    """How many queued jobs of its queue come before it; a long queue is counted no further than ``at_most``."""
    same = (JobRow.queue == job.queue) & (JobRow.state == State.QUEUED)
    before = (JobRow.precedence < job.precedence) | (
        (JobRow.precedence == job.precedence)
        & ((JobRow.fair_tag < job.fair_tag) | ((JobRow.fair_tag == job.fair_tag) & (JobRow.id < job.id)))
    )
    ahead = select(JobRow.id).where(same, before).limit(at_most).subquery()
    return session.scalar(select(func.count()).select_from(ahead)) or 0


def after_ids(session: Session, job_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """For each job, the ids it was submitted to run after."""
    found: dict[str, list[str]] = {job_id: [] for job_id in job_ids}
    query = select(DependencyRow.job_id, DependencyRow.after_id).where(DependencyRow.job_id.in_(job_ids))
    for job_id, after_id in session.execute(query.order_by(DependencyRow.after_id)):
        found[job_id].append(after_id)
    return found


def links(session: Session, job_ids: Sequence[str]) -> Mapping[str, Links]:
    """For each of the jobs; nothing of one that was forgotten meanwhile."""
    workers: dict[str, str | None] = {}
    after: dict[str, list[str]] = {job_id: [] for job_id in job_ids}
    for job_id, worker, after_id in session.connection().execute(_LINKS, {"ids": list(job_ids)}):
        workers[job_id] = worker
        if after_id is not None:
            after[job_id].append(after_id)
    return {job_id: Links(workers.get(job_id), after[job_id]) for job_id in job_ids}


def attempts_of(session: Session, job_id: str) -> Sequence[AttemptRow]:
    return session.scalars(select(AttemptRow).where(AttemptRow.job_id == job_id).order_by(AttemptRow.attempt)).all()


def leaderboard_of(session: Session, job_id: str) -> tuple[LeaderboardRow, Sequence[LeaderboardEntryRow]] | None:
    """The newest run's leaderboard, if there is one."""
    board = session.scalar(
        select(LeaderboardRow).where(LeaderboardRow.job_id == job_id).order_by(LeaderboardRow.run.desc()).limit(1)
    )
    if board is None:
        return None
    query = select(LeaderboardEntryRow).filter_by(job_id=job_id, run=board.run).order_by(LeaderboardEntryRow.rank)
    return board, session.scalars(query).all()


def artifacts_of(session: Session, job_id: str) -> Sequence[ArtifactRow]:
    """By name, each from the newest attempt that saved it."""
    rows = session.scalars(
        select(ArtifactRow).where(ArtifactRow.job_id == job_id).order_by(ArtifactRow.name, ArtifactRow.attempt)
    )
    return list({row.name: row for row in rows}.values())


def artifact_named(session: Session, job_id: str, name: str) -> ArtifactRow | None:
    return session.scalar(
        select(ArtifactRow)
        .where(ArtifactRow.job_id == job_id, ArtifactRow.name == name)
        .order_by(ArtifactRow.attempt.desc())
        .limit(1)
    )
