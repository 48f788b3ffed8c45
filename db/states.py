"""The closed lists of what a job can be and why. The one place where they are written down."""

from enum import StrEnum


class State(StrEnum):
    """``waiting`` → ``queued`` → ``running`` → one of the final three."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in FINAL_STATES


FINAL_STATES = (State.SUCCEEDED, State.FAILED, State.CANCELLED)
OPEN_STATES = (State.WAITING, State.QUEUED, State.RUNNING)


class Reason(StrEnum):
    """Why a job is in its final state, or why its last attempt ended."""

    COMPLETED = "completed"
    CANCELLED_BY_USER = "cancelled_by_user"
    STOPPED_BY_USER = "stopped_by_user"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    TIMED_OUT = "timed_out"
    STALLED = "stalled"
    OUT_OF_MEMORY = "out_of_memory"
    WORKER_LOST = "worker_lost"
    CLUSTER_LOST = "cluster_lost"
    MODEL_LOAD_FAILED = "model_load_failed"
    INVALID_INPUT = "invalid_input"
    UPSTREAM_ERROR = "upstream_error"
    BUDGET_EXCEEDED = "budget_exceeded"
    DEPENDENCY_FAILED = "dependency_failed"
    STORAGE_ERROR = "storage_error"
    RETRIES_EXHAUSTED = "retries_exhausted"
    INTERNAL_ERROR = "internal_error"


class Outcome(StrEnum):
    """How one attempt ended. ``lost``: its worker or runner died. ``handed_back``: its worker shut down."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    HANDED_BACK = "handed_back"


class StopRequest(StrEnum):
    """What has been asked of a running job; the first request wins."""

    CANCEL = "cancel"
    STOP = "stop"
    DEADLINE = "deadline"


class EventType(StrEnum):
    """The events of a job's stream."""

    STATE = "state"
    PROGRESS = "progress"
    LOG = "log"
    LEADERBOARD = "leaderboard"
    OUTPUT = "output"
    ARTIFACT = "artifact"
    FINAL = "final"
