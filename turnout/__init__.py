"""Submit machine-learning jobs to a Turnout server and follow them: ``Client`` in Python, ``turnout`` in a terminal."""

from turnout.client import Client
from turnout.errors import (
    BrokenDownload,
    Conflict,
    FieldError,
    Invalid,
    JobFailed,
    NotAllowed,
    NotFound,
    Refused,
    ServerTrouble,
    ServerUnreachable,
    TurnoutError,
    WaitedTooLong,
)
from turnout.job import Job
from turnout.records import (
    Artifact,
    Attempt,
    Event,
    File,
    JobRecord,
    KindRecord,
    Leaderboard,
    LeaderboardRow,
    Progress,
    QueueRecord,
    WorkerRecord,
)

__all__ = [
    "Artifact",
    "Attempt",
    "BrokenDownload",
    "Client",
    "Conflict",
    "Event",
    "FieldError",
    "File",
    "Invalid",
    "Job",
    "JobFailed",
    "JobRecord",
    "KindRecord",
    "Leaderboard",
    "LeaderboardRow",
    "NotAllowed",
    "NotFound",
    "Progress",
    "QueueRecord",
    "Refused",
    "ServerTrouble",
    "ServerUnreachable",
    "TurnoutError",
    "WaitedTooLong",
    "WorkerRecord",
]
