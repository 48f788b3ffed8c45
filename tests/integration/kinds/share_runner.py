"""Jobs that share a runner and its device, a library of the tests' own."""

import os
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from pydantic import Field

from tasks.contracts import JobContext, JobResult, JobSpec
from tasks.errors import InvalidInput, JobCancelled, JobHandedBack
from tasks.kind import kind
from tasks.queues import Queue
from workers.inference.batcher import Batcher, Group, Item, Limits
from workers.inference.errors import DeviceOutOfMemory

_batcher = Batcher(Limits(token_budget=1000, most_items=16))
_lock = threading.Lock()
_meetings: dict[str, set[str]] = {}


class ShareRunner(JobSpec):
    """What to do with the values."""

    kind: Literal["share_runner"] = "share_runner"
    how: str = "double"
    values: list[int] = Field(default=[1])
    seconds: float = 600


class Shared(JobResult):
    """Each value doubled, and the process that did it."""

    values: list[int]
    pid: int


def _double(values: Sequence[int]) -> Sequence[int]:
    if -13 in values:
        raise InvalidInput("Value -13 brings bad luck.")
    if len(values) > 4:
        raise DeviceOutOfMemory("room for 4")
    return [2 * value for value in values]


def _meet(place: str, job: JobContext, count: int) -> None:
    """Wait until so many jobs are there at once."""
    with _lock:
        _meetings.setdefault(place, set()).add(job.job_id)
    while len(_meetings[place]) < count:
        job.wait(0.02)
        if job.should_stop():
            raise JobCancelled("Nobody came.")


def _wait(job: JobContext, seconds: float) -> None:
    """Heeds what it is asked."""
    job.progress(0.1, "waiting")
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        if job.should_stop():
            raise JobCancelled("Cancelled.")
        if job.should_hand_back():
            raise JobHandedBack("The worker ends.")
        job.wait(1)


@kind(queues=(Queue.CPU,), time_limit=timedelta(minutes=10), max_attempts=1, shared=True)
def run(spec: ShareRunner, job: JobContext) -> Shared:
    match spec.how:
        case "meet":
            _meet("here", job, spec.values[0])
        case "wait":
            _wait(job, spec.seconds)
        case "wait once" if job.attempt == 1:
            _wait(job, spec.seconds)
        case "ignore everything":
            job.progress(0.1, "ignoring")
            while True:
                time.sleep(1)
        case "tell":
            for index, value in enumerate(spec.values):
                job.output(index, f"value {value}")
        case "exit":
            os._exit(3)
    with _lock:
        if not hasattr(_batcher, "started"):
            _batcher.start()
            _batcher.started = True  # type: ignore[attr-defined]
    items = [Item(value) for value in spec.values]
    return Shared(values=list(_batcher.run(job, Group("double"), items, _double)), pid=os.getpid())
