"""Keep a core busy in C."""

from datetime import timedelta
from typing import Literal

from bench.chaos.computations import spin_natively
from bench.chaos.contracts import ChaosSpec, Done, done, in_ledger
from tasks.contracts import JobContext
from tasks.kind import kind
from tasks.queues import Queue


class SpinNatively(ChaosSpec):
    """For how long."""

    kind: Literal["spin_natively"] = "spin_natively"
    seconds: float


@kind(queues=(Queue.CPU,), time_limit=timedelta(minutes=10), max_attempts=3)
def run(spec: SpinNatively, job: JobContext) -> Done:
    with in_ledger(spec, job):
        spin_natively(spec.seconds)
    return done(spec, job)
