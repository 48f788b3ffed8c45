"""Submit machine-learning jobs to a Turnout server and follow them: ``Client`` and ``AsyncClient`` in Python,
``turnout`` in a terminal."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from turnout.async_client import AsyncClient
    from turnout.async_job import AsyncJob
    from turnout.async_named_models import AsyncModels
    from turnout.client import Client
    from turnout.errors import (
        BrokenDownload,
        ClientClosed,
        Conflict,
        ExportFailed,
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
    from turnout.named_models import Models
    from turnout.records import (
        AcceptedJob,
        Artifact,
        Attempt,
        ComparedItem,
        ComparedMetric,
        Comparison,
        DifferingOption,
        Event,
        File,
        HealthRecord,
        HubModel,
        JobRecord,
        KindRecord,
        Leaderboard,
        LeaderboardRow,
        ModelVersion,
        Progress,
        QueueRecord,
        ReadinessRecord,
        TableColumn,
        TableSchema,
        WebhookRecord,
        WorkerRecord,
    )
    from turnout.submissions import Submission, Webhook

__all__ = [
    "AcceptedJob",
    "Artifact",
    "AsyncClient",
    "AsyncJob",
    "AsyncModels",
    "Attempt",
    "BrokenDownload",
    "Client",
    "ClientClosed",
    "ComparedItem",
    "ComparedMetric",
    "Comparison",
    "Conflict",
    "DifferingOption",
    "Event",
    "ExportFailed",
    "FieldError",
    "File",
    "HealthRecord",
    "HubModel",
    "Invalid",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobRecord",
    "KindRecord",
    "Leaderboard",
    "LeaderboardRow",
    "ModelVersion",
    "Models",
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
    "TableColumn",
    "TableSchema",
    "TooLarge",
    "TurnoutError",
    "Unusable",
    "WaitedTooLong",
    "Webhook",
    "WebhookRecord",
    "WorkerRecord",
]

# Loaded only when used: the command must begin to run before that, to be ended by Ctrl-C in order, and asyncio would
# lengthen the start of every command. What is not named here is an error or a record.
_PLACES = {
    "AsyncClient": "turnout.async_client",
    "AsyncJob": "turnout.async_job",
    "AsyncModels": "turnout.async_named_models",
    "Client": "turnout.client",
    "Job": "turnout.job",
    "Models": "turnout.named_models",
    "Submission": "turnout.submissions",
    "Webhook": "turnout.submissions",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    places = [_PLACES[name]] if name in _PLACES else ["turnout.errors", "turnout.records"]
    modules = map(importlib.import_module, places)
    found: object = next(getattr(module, name) for module in modules if hasattr(module, name))
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
