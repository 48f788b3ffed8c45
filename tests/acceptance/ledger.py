"""The file in which short jobs note what they really did."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Note:
    """An attempt of a job began or ended, in the runner of that process id."""

    entry: str
    job_id: str
    attempt: int
    what: str
    pid: int


class Ledger:
    """Written by runners, read by tests."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def notes(self) -> Sequence[Note]:
        words = (line.split() for line in self.path.read_text().splitlines())
        return [Note(entry, job_id, int(attempt), what, int(pid)) for entry, job_id, attempt, what, pid in words]

    def ended(self) -> set[str]:
        """The entries of which an attempt came to its end."""
        return {note.entry for note in self.notes() if note.what == "ends"}

    def begun(self) -> set[str]:
        return {note.entry for note in self.notes()}

    def assert_kept_once(self) -> None:
        """Each entry by one job, and each attempt by one runner."""
        notes = self.notes()
        assert max(Counter(note.entry for note in {Note(n.entry, n.job_id, 0, "", 0) for n in notes}).values()) == 1
        assert max(Counter((note.job_id, note.attempt, note.what) for note in notes).values()) == 1
