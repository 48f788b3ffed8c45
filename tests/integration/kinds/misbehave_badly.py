"""A job that breaks the rules in a way of your choice."""

import os
import signal
import socket
import struct
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Literal

from tasks.contracts import JobContext, JobResult, JobSpec
from tasks.errors import PermanentJobError
from tasks.kind import kind
from tasks.queues import Queue


class Misbehave(JobSpec):
    """How."""

    kind: Literal["misbehave_badly"] = "misbehave_badly"
    how: str
    seconds: float = 600


class Done(JobResult):
    """What it has to say."""

    text: str


class OwnError(PermanentJobError):
    """Of a code that nobody knows."""

    code = "own_code"


def _send_frame(body: bytes) -> None:
    """Write into the socket that the runner was given, as a confused library or child process might."""
    with socket.socket(fileno=os.dup(int(sys.argv[1]))) as channel:
        channel.sendall(struct.pack(">I", len(body)) + body)


def _leave_a_child(scratch: Path) -> None:
    """A process that holds everything the runner has open, and outlives it."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.setsid()
        time.sleep(600)
        os._exit(0)
    (scratch.parent.parent / "child.pid").write_text(str(child))


@kind(queues=(Queue.CPU,), time_limit=timedelta(minutes=10), max_attempts=1)
def run(spec: Misbehave, job: JobContext) -> Done:
    match spec.how:
        case "rubbish":
            _send_frame(b"{]}")
        case "unknown message":
            _send_frame(b'{"type":"progress"}')
        case "child":
            _leave_a_child(job.scratch)
        case "spin in C":
            job.progress(0.1, "spinning")
            sum(range(10**10))
        case "odd text":
            job.progress(0.5, "bad \udcff \0 name")
            job.log("a\0b")
            return Done(text="c\0d")
        case "own code":
            raise OwnError("of my own")
        case "raise":
            raise RuntimeError("a secret: hunter2")
        case "exit":
            os._exit(3)
    job.wait(spec.seconds)
    return Done(text="")
