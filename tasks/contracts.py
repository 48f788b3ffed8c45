"""What a kind's code may rely on: the shapes of specs and results, and the context that a running job gets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Document = dict[str, JsonValue]
StopMode = Literal["cancel", "stop"]
LogLevel = Literal["debug", "info", "warning", "error"]
MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
LONGEST_MODEL_NAME = 100


class Frozen(BaseModel):
    """Refuses fields it does not know and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class JobSpec(Frozen):
    """The validated input of a job. A subclass pins ``kind`` to its own name."""

    kind: str


class JobResult(Frozen):
    """The validated output of a job."""


class FileInput(Frozen):
    """An uploaded file, by its id."""

    file: str = Field(min_length=1, max_length=64, description="Id of an uploaded file (`turnout files upload`).")


class ArtifactInput(Frozen):
    """An artifact of an earlier job of the same owner; of a training also the id of a model that it kept."""

    job: str = Field(min_length=1, max_length=64, description="Id of the job that made the artifact.")
    artifact: str = Field(min_length=1, max_length=500, description="The artifact's name, or a kept model's id.")


class ModelInput(Frozen):
    """A named model of the same owner. A job keeps the version that was the newest when it was submitted."""

    model: str = Field(
        pattern=MODEL_NAME, max_length=LONGEST_MODEL_NAME, description="Name of a model (`turnout models add`)."
    )
    version: int | None = Field(default=None, ge=1, le=2**31 - 1, description="The newest if not given.")


Input = FileInput | ArtifactInput | ModelInput


class LeaderboardEntry(Frozen):
    """One model of a leaderboard; ``metrics`` keeps the names that the training library gives them."""

    model_id: str
    algo: str
    metrics: dict[str, float | None]


class Leaderboard(Frozen):
    """Models, best first by ``sort_metric``. ``run`` counts a job's trainings: readers see the newest run only."""

    run: int
    sort_metric: str
    entries: list[LeaderboardEntry]
    complete: bool


class JobContext(Protocol):
    """Everything a running job may do to the outside. Each write carries the attempt's fencing token, so an attempt
    whose job was given to another one can change nothing; its process is killed."""

    @property
    def job_id(self) -> str: ...

    @property
    def attempt(self) -> int:
        """Counted from 1."""

    @property
    def saved_checkpoint(self) -> Document | None:
        """What ``checkpoint`` last kept, in this attempt or an earlier one; None if nothing was."""

    @property
    def scratch(self) -> Path:
        """An empty directory of this attempt's own, deleted after it."""

    def input_path(self, source: Input) -> Path:
        """Where the data of an input of the spec lies, as a local file to be read only."""

    def progress(self, fraction: float | None, message: str, eta_seconds: float | None = None) -> None:
        """Report progress (0..1, None if unknown). Counts as a sign of progress for the stall limit."""

    def log(self, message: str, level: LogLevel = "info") -> None:
        """Add a line to the job's event stream. Counts as a sign of progress for the stall limit."""

    def output(self, index: int, text: str) -> None:
        """Add a piece of what the job writes for its input of that place to the job's event stream; what was told
        stays told, whatever becomes of the attempt. Counts as a sign of progress for the stall limit."""

    def leaderboard(self, board: Leaderboard) -> None:
        """Replace the job's leaderboard of the same run."""

    def checkpoint(self, document: Mapping[str, JsonValue]) -> None:
        """Keep a small document (64 KB as JSON) for the next attempt. Returns once it is committed."""

    def save_artifact(self, name: str, content: Path | bytes, media_type: str) -> None:
        """Keep a file with the job under a name of ``[A-Za-z0-9._-]``. Returns once it is committed. A later attempt's
        artifact of the same name takes its place. A path may be anywhere readable; it is copied."""

    def kept_artifact(self, name: str) -> Path | None:
        """Where the newest artifact of that name lies which this attempt or an earlier one of the same job kept, as a
        local file to be read only; None if there is none."""

    def should_stop(self) -> StopMode | None:
        """``cancel``: discard everything and raise ``JobCancelled``. ``stop``: end early and return the best so far."""

    def should_hand_back(self) -> bool:
        """Whether the worker is about to end. A job that won't be done within some seconds should keep a checkpoint and
        raise ``JobHandedBack``; else its process is ended, and another attempt goes on from its last checkpoint. To
        return would make what there is the final result."""

    def measured(self, name: str, value: float) -> None:
        """Put a figure of this attempt among the job's metrics, in place of an earlier one of that name."""

    def wait(self, seconds: float) -> None:
        """Sleep, but return at once when a cancel or stop arrives, and when the job is asked to hand back."""

    def guard(self) -> None:
        """Call just before a side effect that SQL can't fence (starting or deleting something in a cluster, a paid
        call). Waits while it is unknown whether the lease still holds; an attempt that has lost it is killed."""
