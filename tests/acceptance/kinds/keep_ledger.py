"""Note in a file outside when an attempt begins and when it ends."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Literal

from tasks.contracts import JobContext, JobResult, JobSpec
from tasks.errors import JobCancelled
from tasks.kind import kind
from tasks.queues import Queue

_STEP_SECONDS = 0.1


class KeepLedger(JobSpec):
    """Which file, under which name, and how long it takes."""

    kind: Literal["keep_ledger"] = "keep_ledger"
    ledger: str
    entry: str
    steps: int = 1


class Kept(JobResult):
    """Who kept it."""

    entry: str
    attempt: int
    pid: int


@kind(queues=(Queue.CPU, Queue.H2O), time_limit=timedelta(minutes=10), max_attempts=3)
def run(spec: KeepLedger, job: JobContext) -> Kept:
    def note(what: str) -> None:
        # One write of a short line is never mixed with another process's.
        with Path(spec.ledger).open("a") as ledger:
            ledger.write(f"{spec.entry} {job.job_id} {job.attempt} {what} {os.getpid()}\n")

    note("begins")
    for step in range(spec.steps):
        job.log(f"step {step} of attempt {job.attempt}")
        job.wait(_STEP_SECONDS)
        if job.should_stop() == "cancel":
            raise JobCancelled("The keeping was cancelled.")
    note("ends")
    return Kept(entry=spec.entry, attempt=job.attempt, pid=os.getpid())
