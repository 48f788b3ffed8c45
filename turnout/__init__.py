"""Submit machine-learning jobs to a Turnout server and follow them: ``Client`` and ``AsyncClient`` in Python,
``turnout`` in a terminal."""

import importlib
from typing import TYPE_CHECKING

from turnout.client import Client
from turnout.errors import (
    BrokenDownload,
    ClientClosed,
    Conflict,
    FieldError,
    Invalid,
    JobCancelled,
    JobFailed,
    NotAllowed,
    NotFound,
    Refused,
    ServerTrouble,
    ServerUnreachable,
    StorageFull,
    TooLarge,
    TurnoutError,
    Unusable,
    WaitedTooLong,
)
from turnout.job import Job
from turnout.records import (
    AcceptedJob,
    Artifact,
    Attempt,
    Event,
    File,
    HealthRecord,
    JobRecord,
    KindRecord,
    Leaderboard,
    LeaderboardRow,
    Progress,
    QueueRecord,
    ReadinessRecord,
    WorkerRecord,
)
from turnout.submissions import Submission

if TYPE_CHECKING:
    from turnout.async_client import AsyncClient
    from turnout.async_job import AsyncJob

# Imported only when used: asyncio would lengthen the start of every command.
_LAZY = {"AsyncClient": "turnout.async_client", "AsyncJob": "turnout.async_job"}

__all__ = [
    "AcceptedJob",
    "Artifact",
    "AsyncClient",
    "AsyncJob",
    "Attempt",
    "BrokenDownload",
    "Client",
    "ClientClosed",
    "Conflict",
    "Event",
    "FieldError",
    "File",
    "HealthRecord",
    "Invalid",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobRecord",
    "KindRecord",
    "Leaderboard",
    "LeaderboardRow",
    "NotAllowed",
    "NotFound",
    "Progress",
    "QueueRecord",
    "ReadinessRecord",
    "Refused",
    "ServerTrouble",
    "ServerUnreachable",
    "StorageFull",
    "Submission",
    "TooLarge",
    "TurnoutError",
    "Unusable",
    "WaitedTooLong",
    "WorkerRecord",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
