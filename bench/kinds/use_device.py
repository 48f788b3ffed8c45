"""Compute on a device that isn't there: each batch takes the same time, however little is in it."""

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from pydantic import Field

from tasks.contracts import JobContext, JobResult, JobSpec
from tasks.kind import kind
from tasks.queues import Queue
from workers.inference.batcher import Batcher, Group, Item, Limits

BATCH = 8

_making = threading.Lock()
_devices: list[Batcher] = []


class UseDevice(JobSpec):
    """What goes through the device, and how long it takes for a batch of up to eight."""

    kind: Literal["use_device"] = "use_device"
    values: list[int] = Field(min_length=1, max_length=1024)
    batch_seconds: float = Field(gt=0, le=60)


class Used(JobResult):
    """What came out: what went in."""

    values: list[int]


@kind(queues=(Queue.CPU,), time_limit=timedelta(minutes=10), max_attempts=3, shared=True)
def run(spec: UseDevice, job: JobContext) -> Used:
    def compute(values: Sequence[int]) -> Sequence[int]:
        time.sleep(spec.batch_seconds)
        return values

    items = [Item(value) for value in spec.values]
    return Used(values=list(_device().run(job, Group(spec.batch_seconds), items, compute)))


def _device() -> Batcher:
    """The one of this runner."""
    with _making:
        if not _devices:
            _devices.append(Batcher(Limits(token_budget=BATCH, most_items=BATCH)))
            _devices[0].start()
    return _devices[0]
