"""Start processes, which start processes."""

from datetime import timedelta
from typing import Literal

from bench.chaos.computations import start_children
from bench.chaos.contracts import ChaosSpec, Done, done, in_ledger
from tasks.contracts import JobContext
from tasks.kind import kind
from tasks.queues import Queue


class StartChildren(ChaosSpec):
    """How long they live."""

    kind: Literal["start_children"] = "start_children"
    seconds: float


@kind(queues=(Queue.CPU,), time_limit=timedelta(minutes=10), max_attempts=3)
def run(spec: StartChildren, job: JobContext) -> Done:
    with in_ledger(spec, job):
        start_children(spec.seconds)
    return done(spec, job)
