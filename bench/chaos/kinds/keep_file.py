"""Save an artifact, for which there may be no room."""

import os
from datetime import timedelta
from typing import Literal

from bench.chaos.contracts import ChaosSpec, Done, done, in_ledger
from tasks.contracts import JobContext
from tasks.kind import kind
from tasks.queues import Queue


class KeepFile(ChaosSpec):
    """How much is saved."""

    kind: Literal["keep_file"] = "keep_file"
    size_bytes: int


@kind(queues=(Queue.CPU,), time_limit=timedelta(minutes=10), max_attempts=10)
def run(spec: KeepFile, job: JobContext) -> Done:
    with in_ledger(spec, job):
        job.save_artifact("kept.bin", os.urandom(spec.size_bytes), "application/octet-stream")
    return done(spec, job)
