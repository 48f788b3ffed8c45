"""What all kinds of the stream have in common."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from bench.chaos.ledger import noted
from tasks.contracts import JobContext, JobResult, JobSpec


class ChaosSpec(JobSpec):
    """In which ledger, and as which of its entries."""

    ledger: str
    entry: str


class Done(JobResult):
    """Which run this result is of."""

    entry: str
    attempt: int
    pid: int


def done(spec: ChaosSpec, job: JobContext) -> Done:
    return Done(entry=spec.entry, attempt=job.attempt, pid=os.getpid())


@contextmanager
def in_ledger(spec: ChaosSpec, job: JobContext) -> Iterator[None]:
    with noted(spec.ledger, spec.entry, job.job_id, job.attempt):
        yield
