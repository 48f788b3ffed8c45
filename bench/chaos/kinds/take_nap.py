"""Sleep, as most jobs of the stream do."""

import time
from datetime import timedelta
from typing import Literal

from bench.chaos.contracts import ChaosSpec, Done, done, in_ledger
from tasks.contracts import JobContext
from tasks.errors import JobCancelled
from tasks.kind import kind
from tasks.queues import Queue


class TakeNap(ChaosSpec):
    """For how long."""

    kind: Literal["take_nap"] = "take_nap"
    seconds: float


@kind(queues=(Queue.CPU,), time_limit=timedelta(minutes=10), max_attempts=3)
def run(spec: TakeNap, job: JobContext) -> Done:
    until = time.monotonic() + spec.seconds
    with in_ledger(spec, job):
        while (left := until - time.monotonic()) > 0:
            job.wait(left)
            if job.should_stop() == "cancel":
                raise JobCancelled("The nap was cancelled.")
    return done(spec, job)
