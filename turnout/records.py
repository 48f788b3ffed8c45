"""What the server tells, as it was at that moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from turnout.data_frames import leaderboard_frame, write_leaderboard

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped] # it carries no types

FINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Progress:
    """How far a job is; ``fraction`` 0..1, None where it can't be known."""

    fraction: float | None
    message: str | None
    eta_seconds: float | None


@dataclass(frozen=True)
class WebhookRecord:
    """A job's webhook and how its deliveries went; its URL without the query. ``tries`` are those of the event that is
    being delivered, ``missed`` the events that were given up. ``ended`` says why nothing more comes: delivered, missed,
    or gone."""

    url: str
    events: tuple[str, ...]
    delivered: int
    missed: int
    tries: int
    next_try_at: datetime | None
    last_try_at: datetime | None
    last_status: int | None
    last_problem: str | None
    ended: str | None


@dataclass(frozen=True)
class JobRecord:
    """A job. ``spec`` and ``result`` have its kind's fields, ``error`` has ``code`` and ``message``, ``metrics`` are
    what it cost: ``queue_seconds``, ``run_seconds``, ``peak_memory_bytes`` … (None where not measured). ``retry_of``:
    the job that this one runs anew. Times are in UTC. ``raw`` is the server's whole answer."""

    id: str
    kind: str
    state: str
    reason: str | None
    queue: str
    priority: int
    spec: Json
    result: Json | None
    error: Json | None
    progress: Progress
    attempt: int
    max_attempts: int
    worker: str | None
    created_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    run_at: datetime | None
    after: tuple[str, ...]
    tags: Mapping[str, str]
    metrics: Json
    waiting_for: str | None
    raw: Json
    retry_of: str | None = None
    webhook: WebhookRecord | None = None

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES


@dataclass(frozen=True)
class AcceptedJob:
    """One job of a bulk submission; ``index`` is its place there."""

    index: int
    id: str
    state: str


@dataclass(frozen=True)
class Event:
    """One entry of a job's stream; ``type`` is state, progress, log, leaderboard, output, artifact or final."""

    seq: int
    attempt: int
    type: str
    created_at: datetime
    data: Json


@dataclass(frozen=True)
class LeaderboardRow:
    """One model; ``metrics`` have the training library's names."""

    rank: int
    model_id: str
    algo: str
    metrics: Mapping[str, float | None]


@dataclass(frozen=True)
class Leaderboard:
    """Models, best first. ``complete``: it will not change any more. ``kept``: the artifacts of the models that the job
    kept, by their ids, once it has ended."""

    rows: tuple[LeaderboardRow, ...]
    sort_metric: str | None
    complete: bool
    raw: Json
    kept: Mapping[str, str] = field(default_factory=dict)

    def to_dataframe(self) -> "pd.DataFrame":
        """A row per model, best first: ``rank``, ``model_id``, ``algo``, then the metrics in the server's order; NaN
        where a model has no such metric. Raises ``Unusable`` without pandas (``pip install 'turnout[pandas]'``)."""
        return leaderboard_frame(self.rows)

    def to_parquet(self, path: Path | str) -> None:
        """The same as a Parquet file, which takes the place of one that is there; null where a model has no such
        metric. Raises ``Unusable`` without pyarrow (``pip install 'turnout[parquet]'``), and ``OSError``."""
        write_leaderboard(self.rows, Path(path))


@dataclass(frozen=True)
class Artifact:
    """A file that a job saved; may be an input of another job's spec."""

    job_id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    attempt: int
    created_at: datetime


@dataclass(frozen=True)
class TableColumn:
    """A column of an uploaded table. ``type`` (numeric, enum, time or string) is what training reads it as unless the
    spec's ``types`` says otherwise; ``missing_share`` is 0..1; ``note`` says what may not be as it is meant."""

    name: str
    type: str
    missing_share: float
    examples: tuple[str, ...]
    note: str | None


@dataclass(frozen=True)
class TableSchema:
    """What training would see in an uploaded file; ``problem`` says why no job can read it as it is. There are ``rows``
    rows, or at least so many if they are not exact, and ``columns`` has the first of ``column_count``."""

    format: str
    compression: str | None
    encoding: str | None
    separator: str | None
    rows: int
    rows_are_exact: bool
    column_count: int
    columns: tuple[TableColumn, ...]
    problem: str | None

    @property
    def types(self) -> dict[str, str]:
        """The type of each column, to be changed and given to a spec as its ``types``."""
        return {column.name: column.type for column in self.columns}


@dataclass(frozen=True)
class File:
    """An uploaded file; may be an input of a job's spec. ``table`` is known of a file that was asked for by itself, if
    it holds one (CSV, Parquet)."""

    id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: datetime
    table: TableSchema | None = None


@dataclass(frozen=True)
class ModelVersion:
    """One version of a named model; may be an input of a job's spec. ``source`` is what it stands for: ``file``,
    ``job`` and ``artifact``, or ``hub`` and ``revision``. Size and checksum are None for a model of the hub."""

    name: str
    version: int
    source: Mapping[str, str]
    description: str
    tags: Mapping[str, str]
    media_type: str | None
    size_bytes: int | None
    sha256: str | None
    created_at: datetime


@dataclass(frozen=True)
class HubModel:
    """A model of the Hugging Face hub, such as ``org/name``, at a commit, branch or tag."""

    hub: str
    revision: str = "main"


@dataclass(frozen=True)
class ComparedItem:
    """One training, or one of its models. ``test_metrics`` are measured on the test rows, for a training's leader only;
    ``leaderboard_metrics`` in training."""

    item: str
    job: str
    kind: str
    model: str | None
    model_id: str
    algo: str | None
    is_leader: bool
    target: str | None
    problem: str
    rows: Mapping[str, int]
    sort_metric: str
    test_metrics: Mapping[str, float | None]
    leaderboard_metrics: Mapping[str, float | None]


@dataclass(frozen=True)
class ComparedMetric:
    """A metric on the test rows, a value for each item; ``best`` are the places of the best."""

    name: str
    values: tuple[float | None, ...]
    best: tuple[int, ...]


@dataclass(frozen=True)
class DifferingOption:
    """An option that the trainings were given different values of, one for each item."""

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Comparison:
    """``comparable``: all were tested on the same rows; else ``caveats`` say what differs, and no metric is called
    best."""

    items: tuple[ComparedItem, ...]
    comparable: bool
    caveats: tuple[str, ...]
    metrics: tuple[ComparedMetric, ...]
    options: tuple[DifferingOption, ...]
    raw: Json


@dataclass(frozen=True)
class Attempt:
    """One run of a job and how it ended."""

    attempt: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    reason: str | None
    cause: str | None
    metrics: Json


@dataclass(frozen=True)
class KindRecord:
    """A kind of job: JSON schemas of its spec and result, where it runs, its limits."""

    name: str
    doc: str
    queues: tuple[str, ...]
    default_queue: str
    time_limit_seconds: float
    stall_limit_seconds: float | None
    max_attempts: int
    spec_schema: Json
    result_schema: Json


@dataclass(frozen=True)
class QueueRecord:
    """How much lies in a queue, and who works on it."""

    name: str
    waiting: int
    queued: int
    running: int
    oldest_queued_at: datetime | None
    live_workers: int
    slots: int


@dataclass(frozen=True)
class WorkerRecord:
    """A worker that gave a sign of life in the last seconds. ``models`` are those that it keeps loaded, each with its
    ``name`` and ``bytes``."""

    name: str
    queue: str
    slots: int
    pid: int
    started_at: datetime
    last_seen_at: datetime
    models: tuple[Json, ...] = ()


@dataclass(frozen=True)
class HealthRecord:
    """The server's process lives; ``status`` is ``alive``."""

    status: str


@dataclass(frozen=True)
class ReadinessRecord:
    """The server takes jobs. ``broker`` (ok, unreachable or unknown) is for information: without it jobs are accepted,
    and run once it is back."""

    status: str
    database: str
    broker: str
