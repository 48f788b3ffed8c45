"""Do nothing: what remains is what the queue itself costs."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext, JobResult, JobSpec
from tasks.kind import kind
from tasks.queues import Queue


class DoNothing(JobSpec):
    """Nothing to say."""

    kind: Literal["do_nothing"] = "do_nothing"


class Nothing(JobResult):
    """Nothing was done."""


@kind(queues=(Queue.CPU,), time_limit=timedelta(minutes=1), max_attempts=3)
def run(_spec: DoNothing, _job: JobContext) -> Nothing:
    return Nothing()
