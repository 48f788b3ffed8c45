"""The tables. Every other module of this room queries these rows; nothing outside the room writes SQL."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import JSON

from db.clock import UtcTime, db_now

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Id = String(36)
# Jobs whose webhook has to hear of something; as the index says it, which is taken only for a condition in these words.
UNTOLD = (
    "webhook <> 'told' AND (finished_at IS NOT NULL"
    " OR (webhook = 'state' AND (state <> webhook_state OR attempt <> webhook_attempt)))"
)

MOVABLE = "movable AND state = 'queued'"


def _partial(name: str, *columns: str, where: str) -> Index:
    """An index of those rows only."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Row(DeclarativeBase):
    """Named constraints, so that migrations can change them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class OwnerRow(Row):
    """Who jobs, files and keys belong to."""

    __tablename__ = "owners"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=db_now())


class ApiKeyRow(Row):
    """A key, kept only as its SHA-256. An admin key sees every owner's rows."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    name: Mapped[str] = mapped_column(String(200))
    key_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    admin: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=db_now())
    revoked_at: Mapped[datetime | None] = mapped_column(UtcTime)


class JobRow(Row):
    """One submitted unit of work. ``attempt`` is the fencing token: every write of an attempt compares it."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    kind: Mapped[str] = mapped_column(String(100))
    queue: Mapped[str] = mapped_column(String(50))
    # Whether it may be brought to another queue of its kind where the first one has no worker.
    movable: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(String(50))
    precedence: Mapped[int] = mapped_column(Integer)
    fair_tag: Mapped[int] = mapped_column(BigInteger, default=0)
    spec: Mapped[dict[str, Any]] = mapped_column(Json)
    result: Mapped[dict[str, Any] | None] = mapped_column(Json)
    error: Mapped[dict[str, Any] | None] = mapped_column(Json)
    checkpoint: Mapped[dict[str, Any] | None] = mapped_column(Json)
    tags: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    metrics: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)

    progress_fraction: Mapped[float | None] = mapped_column(Float)
    progress_message: Mapped[str | None] = mapped_column(Text)
    progress_eta_seconds: Mapped[float | None] = mapped_column(Float)

    attempt: Mapped[int] = mapped_column(Integer, default=0)
    max_attempts: Mapped[int] = mapped_column(Integer)
    failures: Mapped[int] = mapped_column(Integer, default=0)
    losses: Mapped[int] = mapped_column(Integer, default=0)
    worker_id: Mapped[str | None] = mapped_column(Id)
    lease_expires_at: Mapped[datetime | None] = mapped_column(UtcTime)
    hinted_at: Mapped[datetime | None] = mapped_column(UtcTime)
    stop_request: Mapped[str | None] = mapped_column(String(20))
    last_event_seq: Mapped[int] = mapped_column(Integer, default=0)
    time_limit_seconds: Mapped[float | None] = mapped_column(Float)
    deadline_at: Mapped[datetime | None] = mapped_column(UtcTime)
    run_at: Mapped[datetime | None] = mapped_column(UtcTime)
    # No foreign key: it stays true when the earlier job is forgotten, and forgetting one looks for no retries.
    retry_of: Mapped[str | None] = mapped_column(Id)

    # What its webhook waits for: ``final``, ``state`` (any change), ``told`` if there is no more to come; None without
    # one. The other two are what was last passed on to it; they differ from the job's own after any change.
    webhook: Mapped[str | None] = mapped_column(String(10))
    webhook_state: Mapped[str | None] = mapped_column(String(20))
    webhook_attempt: Mapped[int | None] = mapped_column(Integer)

    cleanup_needed: Mapped[bool] = mapped_column(Boolean, default=False)
    cleanup_after: Mapped[datetime | None] = mapped_column(UtcTime)
    cleanup_failures: Mapped[int] = mapped_column(Integer, default=0)

    created_at: Mapped[datetime] = mapped_column(UtcTime, default=db_now())
    queued_at: Mapped[datetime | None] = mapped_column(UtcTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcTime)

    # The partial indexes hold all that their queries ask for, and are asked for in their own words: else SQLite takes
    # another index, and chores of every second go through the whole backlog. What a row isn't in costs it nothing.
    __table_args__ = (
        Index("ix_jobs_order", "queue", "state", "precedence", "fair_tag", "id"),
        _partial("ix_jobs_hinted", "queue", "state", "hinted_at", "kind", where="hinted_at IS NOT NULL"),
        Index("ix_jobs_owner", "owner_id", "id"),
        _partial("ix_jobs_lease", "state", "lease_expires_at", where="lease_expires_at IS NOT NULL"),
        _partial("ix_jobs_due", "state", "run_at", where="state = 'waiting'"),
        _partial("ix_jobs_deadline", "state", "deadline_at", where="deadline_at IS NOT NULL"),
        _partial("ix_jobs_cleanup", "queue", "cleanup_after", where="cleanup_needed"),
        _partial("ix_jobs_finished", "finished_at", where="finished_at IS NOT NULL"),
        _partial("ix_jobs_movable", "queue", "kind", where=MOVABLE),
        _partial("ix_jobs_oldest", "queue", "state", "queued_at", where="state = 'queued'"),
        # Holds only what a webhook is to hear and was not told: whoever changes a job's state enters it, unknowingly.
        # Of its columns none changes without the state, so all other updates stay as cheap as they are.
        _partial("ix_jobs_untold", "id", where=UNTOLD),
    )

    @property
    def priority(self) -> int:
        """0..9, 9 first. Kept upside down in ``precedence``, so that one plain index gives the order of a queue."""
        return 9 - self.precedence


class DependencyRow(Row):
    """``job_id`` starts only after ``after_id`` succeeded."""

    __tablename__ = "job_dependencies"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    after_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, index=True)


class IdempotencyRow(Row):
    """What an ``Idempotency-Key`` stands for: the job it made and the hash of the body it came with."""

    __tablename__ = "idempotency_keys"

    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    body_sha256: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=db_now(), index=True)


class QueueClockRow(Row):
    """The virtual time of a queue's jobs of one precedence: the highest tag that was claimed."""

    __tablename__ = "queue_clocks"

    queue: Mapped[str] = mapped_column(String(50), primary_key=True)
    precedence: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    virtual_time: Mapped[int] = mapped_column(BigInteger)


class FairClockRow(Row):
    """The last tag that an owner's jobs of one queue and precedence were given."""

    __tablename__ = "fair_clocks"

    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    queue: Mapped[str] = mapped_column(String(50), primary_key=True)
    precedence: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    last_tag: Mapped[int] = mapped_column(BigInteger)


class AttemptRow(Row):
    """One run of a job: who ran it, when, and how it ended."""

    __tablename__ = "attempts"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    worker_id: Mapped[str] = mapped_column(Id)
    worker_name: Mapped[str] = mapped_column(String(200))
    started_at: Mapped[datetime] = mapped_column(UtcTime, default=db_now())
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)
    outcome: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(String(50))
    cause: Mapped[str | None] = mapped_column(Text)
    metrics: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)

    __table_args__ = (_partial("ix_attempts_ended_at", "ended_at", where="ended_at IS NOT NULL"),)


class EventRow(Row):
    """One entry of a job's stream; ``seq`` counts from 1 without gaps, given under the job's row lock."""

    __tablename__ = "events"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer)
    type: Mapped[str] = mapped_column(String(20))
    data: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=db_now(), index=True)


class LeaderboardRow(Row):
    """The models of one training run of a job, best first."""

    __tablename__ = "leaderboards"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    run: Mapped[int] = mapped_column(Integer, primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer)
    sort_metric: Mapped[str] = mapped_column(String(100))
    complete: Mapped[bool] = mapped_column(Boolean)
    updated_at: Mapped[datetime] = mapped_column(UtcTime, default=db_now())


class LeaderboardEntryRow(Row):
    """One model of a leaderboard, its metrics under the training library's names."""

    __tablename__ = "leaderboard_entries"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    run: Mapped[int] = mapped_column(Integer, primary_key=True)
    rank: Mapped[int] = mapped_column(Integer, primary_key=True)
    model_id: Mapped[str] = mapped_column(String(500))
    algo: Mapped[str] = mapped_column(String(100))
    metrics: Mapped[dict[str, Any]] = mapped_column(Json)


class ArtifactRow(Row):
    """A file that an attempt saved. Readers see, for each name, the newest attempt's."""

    __tablename__ = "artifacts"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(String(200))
    media_type: Mapped[str] = mapped_column(String(200))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=db_now())

    __table_args__ = (UniqueConstraint("job_id", "attempt", "name"),)


class FileRow(Row):
    """An uploaded file. ``look`` is ``{"table": …}`` with what a look at its columns found, null if it holds no table;
    None before the first look. It may be long, and is read by itself."""

    __tablename__ = "files"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    media_type: Mapped[str] = mapped_column(String(200))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=db_now())
    look: Mapped[dict[str, Any] | None] = mapped_column(Json, deferred=True)


class JobFileRow(Row):
    """A file that a job reads; while the job is open the file can't be deleted."""

    __tablename__ = "job_files"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    file_id: Mapped[str] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), primary_key=True, index=True)


class ModelRow(Row):
    """A name for models. It stays when its versions are deleted, so that none of their numbers is ever given again."""

    __tablename__ = "models"

    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    last_version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=db_now())


class ModelVersionRow(Row):
    """What a name stands for since it was last given: a file, an artifact of a final job, or a model of the hub.
    No cascade: file and job stay as long as the version."""

    __tablename__ = "model_versions"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(String(100))
    version: Mapped[int] = mapped_column(Integer)
    file_id: Mapped[str | None] = mapped_column(ForeignKey("files.id"), index=True)
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"), index=True)
    artifact: Mapped[str | None] = mapped_column(String(200))
    hub: Mapped[str | None] = mapped_column(String(200))
    revision: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, default="")
    tags: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=db_now())

    __table_args__ = (
        ForeignKeyConstraint(["owner_id", "name"], ["models.owner_id", "models.name"]),
        UniqueConstraint("owner_id", "name", "version"),
    )


class JobModelRow(Row):
    """A version of a named model that a job reads; while the job is open it can't be deleted."""

    __tablename__ = "job_models"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    model_version_id: Mapped[str] = mapped_column(
        ForeignKey("model_versions.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class WebhookRow(Row):
    """Where a job's events are delivered to, and how far that is. ``due_at`` is when the next try may begin, None while
    there is nothing to deliver; who tries sets it to the end of his lease. Events up to ``known_seq`` were noticed,
    those up to ``told_seq`` are done with. ``host`` is the URL's host and port: one receiver."""

    __tablename__ = "webhooks"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    url: Mapped[str] = mapped_column(String(2000))
    host: Mapped[str] = mapped_column(String(300))
    events: Mapped[list[str]] = mapped_column(Json)
    known_seq: Mapped[int] = mapped_column(Integer, default=0)
    told_seq: Mapped[int] = mapped_column(Integer, default=0)
    due_at: Mapped[datetime | None] = mapped_column(UtcTime)
    lease_id: Mapped[str | None] = mapped_column(Id)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    delivered: Mapped[int] = mapped_column(Integer, default=0)
    missed: Mapped[int] = mapped_column(Integer, default=0)
    last_try_at: Mapped[datetime | None] = mapped_column(UtcTime)
    last_status: Mapped[int | None] = mapped_column(Integer)
    last_problem: Mapped[str | None] = mapped_column(Text)
    ended: Mapped[str | None] = mapped_column(String(20))

    __table_args__ = (_partial("ix_webhooks_due", "host", "due_at", where="due_at IS NOT NULL"),)


class WebhookSecretRow(Row):
    """What an owner's webhooks are signed with; in clear, since receivers have to know it. An older one that was
    replaced signs along until ``expires_at``."""

    __tablename__ = "webhook_secrets"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), index=True)
    secret: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=db_now())
    expires_at: Mapped[datetime | None] = mapped_column(UtcTime)


class WorkerRow(Row):
    """A worker process; a fresh row at each start. It counts as live while ``last_seen_at`` is fresh. ``kinds`` are the
    names of the kinds that it can run; ``models`` are what its runners keep loaded, as ``{"name", "bytes"}``."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    hostname: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int] = mapped_column(Integer)
    queue: Mapped[str] = mapped_column(String(50), index=True)
    slots: Mapped[int] = mapped_column(Integer)
    kinds: Mapped[list[str]] = mapped_column(Json)
    models: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list, server_default=text("'[]'"))
    started_at: Mapped[datetime] = mapped_column(UtcTime, default=db_now())
    last_seen_at: Mapped[datetime] = mapped_column(UtcTime, default=db_now())
    stopped_at: Mapped[datetime | None] = mapped_column(UtcTime)
