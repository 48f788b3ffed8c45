"""What a job remembers of its training in the cluster, and what a new attempt does with it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Literal, Self

from pydantic import JsonValue, TypeAdapter

from tasks.contracts import Document
from workers.runtimes.h2o_automl.keys import RunKeys

# A run that begins with less can't train anything, so a nearly spent budget is stretched to it.
SHORTEST_RUN_SECONDS = 10.0

Phase = Literal["preparing", "starting", "training", "trained", "abandoned"]


@dataclass(frozen=True)
class SavedModel:
    """A run's best model, kept as an artifact so that it outlives the cluster; ``score`` is by ``sort_metric``."""

    run: int
    model_id: str
    algo: str
    artifact: str
    sort_metric: str
    score: float | None


@dataclass(frozen=True)
class Training:
    """What a run trains: an AutoML, or a model or grid of one algorithm, ranked by ``sort_metric``."""

    what: Literal["AutoML", "grid", "model"] = "AutoML"
    algo: str = ""
    sort_metric: str = "AUTO"


AUTOML = Training()


@dataclass(frozen=True)
class RunState:
    """The checkpoint of a job: run ``run`` (from 1) in the cluster of that id.

    An ``abandoned`` run can't go on, though its cluster lives. ``job_key`` is empty until it is known.
    ``spent_seconds`` is what earlier runs trained, ``used_seconds`` what this one had trained when last seen. ``saved``
    has the best model of each run that had one; ``rows`` those of each part of the data, once they are known.
    """

    job_id: str
    target: str
    run: int
    cluster_id: str
    phase: Phase = "preparing"
    job_key: str = ""
    spent_seconds: float = 0.0
    used_seconds: float = 0.0
    events_seen: int = 0
    stopping: bool = False
    saved: tuple[SavedModel, ...] = ()
    rows: dict[str, int] = field(default_factory=dict)
    training: Training = AUTOML

    @property
    def earlier(self) -> tuple[SavedModel, ...]:
        """The best models of earlier runs."""
        return tuple(model for model in self.saved if model.run != self.run)

    @property
    def keys(self) -> RunKeys:
        return RunKeys(self.job_id, self.run)

    def document(self) -> Document:
        return {**asdict(self), "project": self.keys.project, "automl_key": self.keys.automl(self.target)}

    @classmethod
    def from_document(cls, document: Mapping[str, JsonValue]) -> Self:
        known = {name: value for name, value in document.items() if name in cls.__dataclass_fields__}
        return TypeAdapter(cls).validate_python(known)

    def next_run(self, cluster_id: str) -> "RunState":
        """The run after this one, which ended with its cluster or was given up."""
        return RunState(
            job_id=self.job_id,
            target=self.target,
            run=self.run + 1,
            cluster_id=cluster_id,
            spent_seconds=self.spent_seconds + self.used_seconds,
            saved=self.saved,
            rows=self.rows,
            training=self.training,
        )

    def remaining_seconds(self, max_runtime_secs: float) -> float:
        """What earlier runs left of the job's time budget; 0 means that there is no limit."""
        if max_runtime_secs == 0:
            return 0.0
        return max(max_runtime_secs - self.spent_seconds, min(SHORTEST_RUN_SECONDS, max_runtime_secs))


class Entry(StrEnum):
    """How an attempt enters its run."""

    BEGIN = "begin"
    REPEAT = "repeat"
    ATTACH = "attach"


def enter(
    saved: RunState | None,
    job_id: str,
    target: str,
    cluster_id: str,
    is_known: Callable[[RunState], bool],
    training: Training = AUTOML,
) -> tuple[Entry, RunState]:
    """Where an attempt goes on. ``is_known`` asks the cluster whether it has what a run trains.

    A training that the cluster knows is attached to. One that never started begins again under the same names, after
    what it left was removed. One that is gone, or was given up, is followed by the next run.
    """
    if saved is None:
        return Entry.BEGIN, RunState(job_id, target, 1, cluster_id, training=training)
    if saved.cluster_id != cluster_id or saved.phase == "abandoned":
        return Entry.BEGIN, saved.next_run(cluster_id)
    if saved.phase != "preparing" and is_known(saved):
        return Entry.ATTACH, saved
    if saved.phase in ("preparing", "starting"):
        return Entry.REPEAT, replace(saved, phase="preparing", job_key="")
    return Entry.BEGIN, saved.next_run(cluster_id)
