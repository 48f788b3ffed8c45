"""Add two numbers."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext, JobResult, JobSpec
from tasks.kind import kind
from tasks.queues import Queue


class AddNumbers(JobSpec):
    kind: Literal["add_numbers"] = "add_numbers"
    a: int
    b: int


class Total(JobResult):
    total: int


@kind(queues=(Queue.CPU,), time_limit=timedelta(minutes=1), max_attempts=1)
def run(spec: AddNumbers, _job: JobContext) -> Total:
    return Total(total=spec.a + spec.b)
