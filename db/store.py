"""Where uploaded files and artifacts lie. A file appears under its key whole or not at all."""

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        part = target.with_name(target.name + ".part")
        try:
            with _open_new(part) as file:
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
        """Delete the file, and the directories that it leaves empty. Raises ``OSError``."""
        path = self.path(key)
        path.unlink(missing_ok=True)
        self._prune(path.parent)

    def free_bytes(self) -> int:
        return shutil.disk_usage(self._root).free

    def keys_older_than(self, seconds: float) -> Iterator[str]:
        """Keys of files, finished or not, that were last written longer ago than that."""
        limit = time.time() - seconds
        # Unlike a glob, a walk passes over directories that vanish meanwhile.
        for directory, _directories, names in os.walk(self._root):
            for name in names:
                path = Path(directory, name)
                if _modified_before(path, limit):
                    yield str(path.relative_to(self._root))

    def delete_empty_directories(self, seconds: float) -> None:
        """Delete directories that have been empty for longer than that."""
        limit = time.time() - seconds
        for directory, directories, names in os.walk(self._root, topdown=False):
            if not directories and not names and _modified_before(Path(directory), limit):
                self._prune(Path(directory))

    def _prune(self, directory: Path) -> None:
        """Delete the directory and those above it, as far as they are empty; the store's first level stays."""
        while self._root not in (directory, directory.parent):
            try:
                directory.rmdir()
            except OSError as exc:
                if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                    raise
                return
            directory = directory.parent


def _open_new(path: Path) -> IO[bytes]:
    """Open a file for writing in a directory that is made if need be, and that others delete while it is empty."""
    for _attempt in range(9):
        with suppress(FileNotFoundError):
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("wb")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")


def _modified_before(path: Path, limit: float) -> bool:
    """False for what is gone."""
    try:
        return path.stat().st_mtime < limit
    except FileNotFoundError:
        return False


def _sync_directory(directory: Path) -> None:
    # Without it a power cut may forget the rename although the row that names the file was committed.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
