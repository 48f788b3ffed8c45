"""A job that breaks the rules in a way of your choice."""

import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Literal

from tasks.contracts import JobContext, JobResult, JobSpec
from tasks.errors import JobHandedBack, JobStoppedEmpty, PermanentJobError
from tasks.kind import kind
from tasks.queues import Queue
from tests.waiting import until

_kept: list[bytes] = []


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


def _note(job: JobContext, word: str) -> None:
    """Keep what befell the process where the test finds it, whatever becomes of the job."""
    with (job.scratch.parent.parent / f"{job.job_id}.heard").open("a") as file:
        file.write(word + "\n")


def _ignore_everything(job: JobContext) -> None:
    signal.signal(signal.SIGTERM, lambda *_: _note(job, "SIGTERM"))
    _note(job, "ready")
    asked = False
    while True:
        if job.should_stop() and not asked:
            asked = True
            _note(job, "asked")
        time.sleep(0.02)


def _eat_memory() -> None:
    """As fast as it goes."""
    eaten = []
    while True:
        eaten.append(b"x" * 10_000_000)


def _hand_back(job: JobContext) -> None:
    """Only the attempt after one that was told to hand back comes to an end."""
    if job.saved_checkpoint == {"told": "hand back"}:
        kept = job.kept_artifact("half.txt")
        assert kept is not None
        assert kept.read_text() == "half done"
        assert job.kept_artifact("other.txt") is None
        return
    job.save_artifact("half.txt", b"half", "text/plain")
    job.save_artifact("half.txt", b"half done", "text/plain")
    job.progress(0.5, "half")
    while not job.should_hand_back():
        job.wait(600)
    job.checkpoint({"told": "hand back"})
    raise JobHandedBack("The worker ends.")


def _fork(work: Callable[[], None]) -> int:
    """A process that leaves the runner's process group."""
    child = os.fork()
    if child == 0:
        os.setsid()
        work()
        os._exit(0)
    return child


def _share_memory(scratch: Path) -> None:
    """Hold 100 MB together with five processes, until all have been looked at."""
    held = b"x" * 100_000_000
    children = [_fork(lambda: time.sleep(600)) for _ in range(5)]
    until(lambda: (scratch.parent.parent / "looked").exists())
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    del held


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
        case "sleep":
            job.progress(0.1, "sleeping")
            time.sleep(spec.seconds)
        case "wait for a socket":
            job.progress(0.1, "waiting")
            ours, _theirs = socket.socketpair()
            ours.recv(1)
        case "ignore SIGTERM":
            job.progress(0.1, "ignoring")
            _ignore_everything(job)
        case "hand back":
            _hand_back(job)
            return Done(text="from a checkpoint")
        case "own code":
            raise OwnError("of my own")
        case "nothing to keep":
            job.wait(spec.seconds)
            raise JobStoppedEmpty("There is nothing to keep.")
        case "eat memory":
            _eat_memory()
        case "eat memory in a child":
            (job.scratch.parent.parent / "child.pid").write_text(str(_fork(_eat_memory)))
        case "share memory":
            _share_memory(job.scratch)
            return Done(text="shared")
        case "keep memory":
            _kept.append(b"x" * 200_000_000)
            return Done(text=str(os.getpid()))
        case "allocate the world":
            bytearray(1 << 45)
        case "raise":
            raise RuntimeError("a secret: hunter2")
        case "exit":
            os._exit(3)
    job.wait(spec.seconds)
    return Done(text="")
