"""Unpacks an uploaded model, which may come from anybody.

Only regular files and directories come out, below the target, within limits that count what is written, whatever the
archive claims.
"""

import io
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from gzip import BadGzipFile, GzipFile
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from tasks.errors import ModelLoadFailed
from workers.inference.model_files import MOST_DEPTH, MOST_FILES

Sort = Literal["zip", "tar", "tar.gz"]

MOST_BYTES = 64 << 30
# Weights hardly shrink; what grows more than this was made to fill disks.
MOST_GROWTH = 50
_SMALL_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20
# An archive's own tables are read in one piece.
_MOST_BYTES_AT_ONCE = 8 << 20
_MOST_TABLE_BYTES = 64 << 20
_TAR_MAGIC_PLACE = 257
_UNIX_KINDS, _UNIX_REGULAR, _UNIX_DIRECTORY = 0o170000, 0o100000, 0o040000


def sort_of(path: Path) -> Sort | None:
    """What sort of archive it is by its content; None if it is none."""
    with path.open("rb") as file:
        head = file.read(_TAR_MAGIC_PLACE + 5)
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head.startswith(b"\x1f\x8b"):
        return "tar.gz"
    return "tar" if head[_TAR_MAGIC_PLACE:] == b"ustar" else None


def unpack(path: Path, sort: Sort, target: Path) -> None:
    """Put the files below ``target``, which must be empty. Raises ``ModelLoadFailed`` that names the entry."""
    budget = _Budget(path.stat().st_size)
    try:
        for name, source in _from_zip(path, budget) if sort == "zip" else _from_tar(path, sort, budget):
            budget.write(source, _place(target, name))
    except (zipfile.BadZipFile, tarfile.TarError, BadGzipFile, zlib.error, EOFError, NotImplementedError) as exc:
        raise ModelLoadFailed("The model's archive is damaged, or packed in a way that can't be read.") from exc
    except RuntimeError as exc:
        raise ModelLoadFailed("The model's archive is encrypted; pack it without a password.") from exc


class _Budget:
    """Counts what comes out of one archive."""

    def __init__(self, packed_bytes: int) -> None:
        self._left = min(MOST_BYTES, max(_SMALL_BYTES, packed_bytes * MOST_GROWTH))
        self._entries = 0
        self._table_bytes = 0

    def count_entry(self) -> None:
        self._entries += 1
        if self._entries > MOST_FILES:
            raise ModelLoadFailed(f"The model's archive has more than {MOST_FILES} entries.")

    def count_read(self, count: int) -> None:
        """Bytes read from a tar archive; those written out again are not of its headers, which are kept in memory."""
        self._table_bytes += count
        if self._table_bytes > _MOST_TABLE_BYTES:
            raise ModelLoadFailed("The model's archive has headers that are far too large.")

    def write(self, source: IO[bytes], target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            while chunk := source.read(_CHUNK_BYTES):
                self._left -= len(chunk)
                if self._left < 0:
                    raise ModelLoadFailed(
                        f"The model's archive grows beyond {MOST_GROWTH} times its size, or {MOST_BYTES >> 30} GiB."
                    )
                self._table_bytes = max(self._table_bytes - len(chunk), 0)
                file.write(chunk)


def _from_zip(path: Path, budget: _Budget) -> Iterator[tuple[str, IO[bytes]]]:
    with path.open("rb") as raw, zipfile.ZipFile(_Measured(raw, _uncounted)) as archive:
        for entry in archive.infolist():
            budget.count_entry()
            kind = entry.external_attr >> 16 & _UNIX_KINDS
            if kind not in (0, _UNIX_REGULAR, _UNIX_DIRECTORY):
                raise ModelLoadFailed(f"{entry.filename[:200]} is a link or a device; only files are unpacked.")
            if not entry.is_dir():
                with archive.open(entry) as source:
                    yield entry.filename, source


def _from_tar(path: Path, sort: Sort, budget: _Budget) -> Iterator[tuple[str, IO[bytes]]]:
    with _tar_content(path, sort, budget) as content, tarfile.open(fileobj=content, mode="r:") as archive:
        for entry in archive:
            budget.count_entry()
            if entry.isdir():
                continue
            if not entry.isreg() or entry.issparse():
                raise ModelLoadFailed(f"{entry.name[:200]} is a link, a device or sparse; only files are unpacked.")
            source = archive.extractfile(entry)
            if source is not None:
                with source:
                    yield entry.name, source


@contextmanager
def _tar_content(path: Path, sort: Sort, budget: _Budget) -> Iterator["_Measured"]:
    with path.open("rb") as raw:
        if sort == "tar":
            yield _Measured(raw, budget.count_read)
        else:
            with GzipFile(fileobj=raw) as unpacked:
                yield _Measured(unpacked, budget.count_read)


def _uncounted(_count: int) -> None:
    """A ZIP's table is read at once, which has a limit already."""


class _Measured(io.RawIOBase):
    """A file of which nobody reads much at once, whatever length an archive's table claims to have."""

    def __init__(self, file: IO[bytes] | GzipFile, count: Callable[[int], None]) -> None:
        self._file = file
        self._count = count

    def read(self, size: int = -1, /) -> bytes:
        # All that is left is read as well, but that should be the last lines of a ZIP's table.
        content = self._file.read(_MOST_BYTES_AT_ONCE + 1 if size < 0 else min(size, _MOST_BYTES_AT_ONCE + 1))
        if len(content) > _MOST_BYTES_AT_ONCE:
            raise ModelLoadFailed("The model's archive has a table of contents that is far too large.")
        self._count(len(content))
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def _place(target: Path, name: str) -> Path:
    """Where an entry of that name goes."""
    parts = PurePosixPath(name).parts
    unfit = not parts or name.startswith(("/", "\\")) or "\\" in name or "\0" in name or ".." in parts
    if unfit or len(parts) > MOST_DEPTH or len(name) > 1000 or not name.isprintable():
        raise ModelLoadFailed(f"{name[:200]!r} is refused: a name in a model's archive has to lead below it.")
    place = target.joinpath(*parts)
    if place.exists():
        raise ModelLoadFailed(f"{name[:200]} is in the model's archive twice.")
    return place


def strip_single_directory(target: Path) -> None:
    """Archives are often made of a directory: put what is in it in its place."""
    entries = [entry for entry in target.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
    if len(entries) == 1 and entries[0].is_dir():
        inner = entries[0].rename(target.with_name(f"{target.name}.inner"))
        shutil.rmtree(target)
        inner.rename(target)
