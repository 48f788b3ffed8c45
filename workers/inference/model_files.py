"""The files of a model's directory: which there are, and what identifies them."""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from tasks.errors import ModelLoadFailed

MOST_FILES = 10_000
MOST_DEPTH = 8
# Path below the directory, bytes, time of change and number on the disk: if all are the same, so is the content.
Mark = tuple[str, int, int, int]
Marks = tuple[Mark, ...]


@dataclass(frozen=True)
class ModelFile:
    """``name`` is the path below the model's directory, with ``/``."""

    name: str
    size_bytes: int
    sha256: str


def marks_of(root: Path) -> Marks:
    """What is there, cheap to look at. Hidden files don't belong to a model; links are followed if they stay inside.

    Raises ``ModelLoadFailed`` for a link that leads out of the directory and for what is neither file nor directory.
    """
    found: list[Mark] = []
    for name, entry in _walk(root, "", 0):
        if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root.resolve()):
            raise ModelLoadFailed(
                f"{name} is a link that leads out of the model's directory; put a copy of the file in its place."
            )
        try:
            facts = entry.stat()
        except OSError as exc:
            raise ModelLoadFailed(f"{name} can't be read: {exc.strerror}.") from exc
        if not stat.S_ISREG(facts.st_mode):
            raise ModelLoadFailed(f"{name} is no regular file.")
        found.append((name, facts.st_size, facts.st_mtime_ns, facts.st_ino))
        if len(found) > MOST_FILES:
            raise ModelLoadFailed(f"The model has more than {MOST_FILES} files.")
    return tuple(sorted(found))


def _walk(root: Path, below: str, depth: int) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    if depth > MOST_DEPTH:
        raise ModelLoadFailed(f"{below} lies more than {MOST_DEPTH} directories deep.")
    with os.scandir(root / below) as entries:
        for entry in entries:
            name = f"{below}{entry.name}"
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(root, f"{name}/", depth + 1)
            elif entry.is_symlink() and entry.is_dir():
                raise ModelLoadFailed(f"{name} is a link to a directory; put a copy of the directory in its place.")
            else:
                yield name, entry


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(files: Iterable[ModelFile]) -> str:
    """One SHA-256 for all of them."""
    lines = [f"{file.sha256}  {file.name}\n" for file in sorted(files, key=lambda file: file.name)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class KnownFiles:
    """What was found out about a directory, and the marks that its files had then."""

    marks: Marks
    files: tuple[ModelFile, ...]
    ignored: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """Of the model's content."""
        return digest_of(self.files)

    def save(self, path: Path) -> None:
        """Whole or not at all, as other runners read it at any time."""
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.write_text(json.dumps(asdict(self)))
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> "KnownFiles | None":
        """None if there is nothing, or nothing that can be read."""
        try:
            kept = json.loads(path.read_bytes())
            return cls(
                tuple((str(name), int(size), int(time), int(number)) for name, size, time, number in kept["marks"]),
                tuple(ModelFile(**file) for file in kept["files"]),
                tuple(map(str, kept["ignored"])),
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None
