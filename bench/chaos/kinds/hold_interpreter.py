"""Hold the interpreter's lock for longer than a lease, so that no thread of the runner runs."""

from datetime import timedelta
from typing import Literal

from bench.chaos.computations import hold_interpreter
from bench.chaos.contracts import ChaosSpec, Done, done, in_ledger
from tasks.contracts import JobContext
from tasks.kind import kind
from tasks.queues import Queue


class HoldInterpreter(ChaosSpec):
    """For how long."""

    kind: Literal["hold_interpreter"] = "hold_interpreter"
    seconds: float


@kind(queues=(Queue.CPU,), time_limit=timedelta(minutes=10), max_attempts=3)
def run(spec: HoldInterpreter, job: JobContext) -> Done:
    with in_ledger(spec, job):
        hold_interpreter(spec.seconds)
    return done(spec, job)
