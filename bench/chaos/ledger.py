"""The ledger outside: a file to which the submitter appends what was accepted, and each job what it really did."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """A job's code ran in a process. Times are of the machine's monotonic clock; ``ended_at`` is None if the run did
    not come to its end, because it broke or its process died."""

    entry: str
    job_id: str
    attempt: int
    pid: int
    parent_pid: int
    began_at: float
    ended_at: float | None = None


def append(path: str | Path, *words: object) -> None:
    """One line by one write, which is never mixed with another process's."""
    line = " ".join(map(str, words)) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


@contextmanager
def noted(path: str, entry: str, job_id: str, attempt: int) -> Iterator[None]:
    """Note that a run begins, and that it ends, if the block comes to its end, else that it breaks."""
    who = (entry, job_id, attempt, os.getpid(), os.getppid())
    append(path, "begins", *who, time.monotonic())
    how = "breaks"
    try:
        yield
        how = "ends"
    finally:
        append(path, how, *who, time.monotonic())


class Ledger:
    """Reads on from where it stopped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self._read_bytes = 0
        self.accepted: dict[str, tuple[str, float]] = {}
        """By job id: the entry, and when the answer was there."""
        self.runs: dict[tuple[str, int, int, float], Run] = {}
        self._open: dict[tuple[str, int, int], tuple[str, int, int, float]] = {}

    def read(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self._read_bytes)
            *lines, _rest = file.read().split(b"\n")
        for line in lines:
            self._read_bytes += len(line) + 1
            what, *words = line.decode().split()
            if what == "accepted":
                entry, job_id, at = words
                self.accepted[job_id] = (entry, float(at))
            else:
                self._note(what, *words)

    def _note(self, what: str, entry: str, job_id: str, attempt: str, pid: str, parent: str, at: str) -> None:
        short = (job_id, int(attempt), int(pid))
        if what == "begins":
            key = self._open[short] = (*short, float(at))
            self.runs[key] = Run(entry, job_id, int(attempt), int(pid), int(parent), float(at))
            return
        key = self._open.pop(short)
        if what == "ends":
            self.runs[key] = replace(self.runs[key], ended_at=float(at))

    def busy_pids(self) -> set[int]:
        """Processes in which a run is neither over nor broken; some may be dead."""
        return {pid for _job_id, _attempt, pid in self._open}
