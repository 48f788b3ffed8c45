"""Prove that a queue's worker takes jobs, runs them and commits their results: wait a while, then answer."""

import time
from datetime import timedelta
from typing import Literal

from pydantic import Field

from tasks.contracts import JobContext, JobResult, JobSpec
from tasks.errors import JobCancelled
from tasks.kind import kind
from tasks.queues import Queue

_STEP_SECONDS = 0.5


class CheckWorker(JobSpec):
    """What to answer, and after how long."""

    kind: Literal["check_worker"] = "check_worker"
    message: str = Field(default="ok", max_length=1000, description="Text that comes back in the result.")
    seconds: float = Field(default=0, ge=0, le=86_400, description="How long the job runs, in seconds.")


class Checked(JobResult):
    """The message, and how long the job really ran."""

    message: str
    seconds: float


@kind(queues=(Queue.CPU, Queue.GPU, Queue.H2O, Queue.REMOTE), time_limit=timedelta(days=1), max_attempts=3)
def run(spec: CheckWorker, job: JobContext) -> Checked:
    started = time.monotonic()
    while (left := spec.seconds - (time.monotonic() - started)) > 0:
        job.progress(1 - left / spec.seconds, "waiting", eta_seconds=left)
        job.wait(min(left, _STEP_SECONDS))
        match job.should_stop():
            case "cancel":
                raise JobCancelled("The check was cancelled.")
            case "stop":
                break
    return Checked(message=spec.message, seconds=round(time.monotonic() - started, 3))
