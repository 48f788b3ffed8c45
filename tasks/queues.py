"""The queues a job can be routed to."""

from enum import StrEnum


class Queue(StrEnum):
    """Where a job waits: each queue has workers pinned to one sort of hardware or service."""

    GPU = "gpu"
    CPU = "cpu"
    H2O = "h2o"
    REMOTE = "remote"
