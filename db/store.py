"""Where uploaded files and artifacts lie. A file appears under its key whole or not at all."""

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Stored:
    """What was written: its length and its SHA-256 in hex."""

    size_bytes: int
    sha256: str


class Upload:
    """A file that is being written; counts and hashes what passes through."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, chunk: bytes) -> None:
        """Raises ``OSError``, for one when the disk is full."""
        self._file.write(chunk)
        self._hash.update(chunk)
        self._size += len(chunk)

    @property
    def stored(self) -> Stored:
        return Stored(self._size, self._hash.hexdigest())


class Store:
    """A directory of files under keys such as ``files/<id>`` or ``jobs/<job>/<attempt>/<id>``."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def writing(self, key: str) -> Iterator[Upload]:
        """Write a file in pieces. When the block ends it is on the disk under ``key``; if it raises nothing is left."""
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        try:
            with part.open("wb") as file:
                yield Upload(file)
                file.flush()
                os.fsync(file.fileno())
            part.rename(target)
            _sync_directory(target.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def put(self, key: str, source: Path) -> Stored:
        """Copy a file into the store."""
        with self.writing(key) as upload, source.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                upload.write(chunk)
        return upload.stored

    def path(self, key: str) -> Path:
        """Where the file lies, to be read only. Keys are made by us; one that leads outside raises ``ValueError``."""
        path = (self._root / key).resolve()
        if not path.is_relative_to(self._root):
            raise ValueError("a key may not lead out of the store")
        return path

    def delete(self, key: str) -> None:
        self.path(key).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        return shutil.disk_usage(self._root).free

    def keys_older_than(self, seconds: float) -> Iterator[str]:
        """Keys of files, finished or not, that were last written longer ago than that."""
        limit = time.time() - seconds
        for path in self._root.rglob("*"):
            if path.is_file() and path.stat().st_mtime < limit:
                yield str(path.relative_to(self._root))


def _sync_directory(directory: Path) -> None:
    # Without it a power cut may forget the rename although the row that names the file was committed.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
