"""Take more memory than a runner may have."""

from datetime import timedelta
from typing import Literal

from bench.chaos.computations import eat_memory
from bench.chaos.contracts import ChaosSpec, Done, done, in_ledger
from tasks.contracts import JobContext
from tasks.kind import kind
from tasks.queues import Queue


class EatMemory(ChaosSpec):
    """How much, and for how long."""

    kind: Literal["eat_memory"] = "eat_memory"
    size_bytes: int
    seconds: float


@kind(queues=(Queue.CPU,), time_limit=timedelta(minutes=10), max_attempts=3)
def run(spec: EatMemory, job: JobContext) -> Done:
    with in_ledger(spec, job):
        eat_memory(spec.size_bytes, spec.seconds)
    return done(spec, job)
