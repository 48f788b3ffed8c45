"""What a runner may say to its worker. Anything else means that it is broken: ML code shares its process and its file
descriptors, so nothing it sends is taken on trust."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter, with_config
from typing_extensions import TypedDict  # Pydantic needs this one before Python 3.12

_EXACTLY = ConfigDict(extra="forbid", allow_inf_nan=False)


@with_config(_EXACTLY)
class Ready(TypedDict):
    """The runner can take orders."""

    type: Literal["ready"]
    pid: int


@with_config(_EXACTLY)
class ProgressSaid(TypedDict):
    """``JobContext.progress``."""

    type: Literal["progress"]
    job_id: str
    attempt: int
    fraction: Annotated[float, Field(ge=0, le=1)] | None
    message: str
    eta_seconds: float | None


@with_config(_EXACTLY)
class LogSaid(TypedDict):
    """``JobContext.log``."""

    type: Literal["log"]
    job_id: str
    attempt: int
    message: str
    level: Literal["debug", "info", "warning", "error"]


@with_config(_EXACTLY)
class OutputSaid(TypedDict):
    """``JobContext.output``."""

    type: Literal["output"]
    job_id: str
    attempt: int
    index: Annotated[int, Field(ge=0)]
    text: str


@with_config(_EXACTLY)
class EntrySaid(TypedDict):
    """One model of a leaderboard."""

    model_id: str
    algo: str
    metrics: dict[str, float | None]


@with_config(_EXACTLY)
class BoardSaid(TypedDict):
    """A ``tasks.contracts.Leaderboard``."""

    run: int
    sort_metric: str
    entries: list[EntrySaid]
    complete: bool


@with_config(_EXACTLY)
class LeaderboardSaid(TypedDict):
    """``JobContext.leaderboard``."""

    type: Literal["leaderboard"]
    job_id: str
    attempt: int
    board: BoardSaid


@with_config(_EXACTLY)
class CheckpointAsked(TypedDict):
    """``JobContext.checkpoint``; the runner waits for the answer to ``call``."""

    type: Literal["checkpoint"]
    job_id: str
    attempt: int
    call: int
    document: dict[str, JsonValue]


@with_config(_EXACTLY)
class ArtifactAsked(TypedDict):
    """``JobContext.save_artifact``; the file lies in the attempt's scratch directory."""

    type: Literal["artifact"]
    job_id: str
    attempt: int
    call: int
    name: str
    path: str
    media_type: str


@with_config(_EXACTLY)
class KeptArtifactAsked(TypedDict):
    """``JobContext.kept_artifact``; the answer to ``call`` has its ``path``."""

    type: Literal["kept_artifact"]
    job_id: str
    attempt: int
    call: int
    name: str


@with_config(_EXACTLY)
class Finished(TypedDict):
    """The end of an attempt: either its result, or how it failed."""

    type: Literal["finished"]
    job_id: str
    attempt: int
    metrics: dict[str, float]
    outcome: Literal["succeeded", "failed"]
    result: dict[str, JsonValue] | None
    code: str
    message: str
    retryable: bool
    retry_after_seconds: float | None


@with_config(_EXACTLY)
class Cleaned(TypedDict):
    """The end of a clean-up, with what went wrong."""

    type: Literal["cleaned"]
    job_id: str
    problem: str | None


@with_config(_EXACTLY)
class ModelHeld(TypedDict):
    """A model that the runner keeps loaded."""

    name: Annotated[str, Field(max_length=1000)]
    bytes: Annotated[int, Field(ge=0)]


@with_config(_EXACTLY)
class Models(TypedDict):
    """All that is loaded now."""

    type: Literal["models"]
    models: Annotated[list[ModelHeld], Field(max_length=1000)]


_SAID: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        Ready
        | ProgressSaid
        | LogSaid
        | OutputSaid
        | LeaderboardSaid
        | CheckpointAsked
        | ArtifactAsked
        | KeptArtifactAsked
        | Finished
        | Cleaned
        | Models,
        Field(discriminator="type"),
    ]
)


def checked(message: object) -> dict[str, Any]:
    """The message, if a runner may say it. Raises ``ValueError``."""
    said: dict[str, Any] = _SAID.validate_python(message)
    return said
