"""The directories of models that were downloaded or unpacked, shared by all runners of a home and kept within a size.

Each entry ``K`` has a lock file ``K.lock``, the directory ``K``, and ``K.json``, which is written last: without it the
entry isn't whole. Who uses an entry holds its lock shared, who fills or removes it holds it alone; the kernel frees the
locks of a process that dies.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import ModelLoadFailed, StorageError
from workers.inference.model_files import KnownFiles, marks_of

_LEAST_FREE_BYTES = 1 << 30
Pause = Callable[[], None]


class Hold:
    """An entry's lock, held until nobody refers to this object any more."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_to_take(self, how: int) -> bool:
        try:
            fcntl.flock(self._descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def let_go(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def __del__(self) -> None:
        os.close(self._descriptor)


@dataclass(frozen=True)
class Entry:
    """A directory of the disk, which stays as long as ``hold`` is referred to."""

    path: Path
    known: KnownFiles
    hold: Hold


class ModelDisk:
    """Holds at most ``limit_bytes`` of models; the ones used longest ago go first."""

    def __init__(self, root: Path, limit_bytes: int) -> None:
        self._root = root
        self._limit = limit_bytes
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def present(self, key: str) -> "Entry | None":
        """The entry, if it is whole and nobody holds it alone."""
        hold = Hold(self._root / f"{key}.lock")
        if not hold.try_to_take(fcntl.LOCK_SH):
            return None
        known = self._whole(key)
        if known is None:
            return None
        (self._root / f"{key}.json").touch()
        return Entry(self._root / key, known, hold)

    def entry(self, key: str, fill: Callable[[Path], KnownFiles], pause: Pause) -> "Entry":
        """A whole entry. ``fill`` puts the files into an empty or half filled directory and says what they are;
        ``pause`` is called again and again while another process does that."""
        hold = Hold(self._root / f"{key}.lock")
        while True:
            if hold.try_to_take(fcntl.LOCK_SH):
                known = self._whole(key)
                if known is not None:
                    (self._root / f"{key}.json").touch()
                    return Entry(self._root / key, known, hold)
                if hold.try_to_take(fcntl.LOCK_EX):
                    if self._whole(key) is None:
                        self._fill(key, fill)
                    continue
                # Somebody else may fill it now and use it for as long as he likes: that is looked at again, not waited
                # for.
                hold.let_go()
            pause()

    def make_room(self, needed_bytes: int) -> None:
        """Remove what was used longest ago until as much fits. Raises ``ModelLoadFailed`` if it never will, and
        ``StorageError`` if it doesn't now."""
        if needed_bytes > self._limit:
            raise ModelLoadFailed(
                f"The model takes {needed_bytes >> 20} MB, more than the {self._limit >> 20} MB for all models on this "
                "worker's disk (TURNOUT_MODELS_DISK)."
            )
        with (self._root / ".room.lock").open("a+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._make_room(needed_bytes)
        if shutil.disk_usage(self._root).free < needed_bytes + _LEAST_FREE_BYTES:
            raise StorageError(f"The worker's disk has no room for the model's {needed_bytes >> 20} MB.")

    def _make_room(self, needed_bytes: int) -> None:
        entries = sorted(self._entries(), key=lambda entry: entry[1])
        held = sum(size for _key, _used_at, size in entries)
        for key, _used_at, size in entries:
            if held + needed_bytes <= self._limit:
                return
            if self._remove(key):
                held -= size
        if held + needed_bytes > self._limit:
            raise StorageError(
                f"The model takes {needed_bytes >> 20} MB, and the models that running jobs load leave no room for it "
                f"within {self._limit >> 20} MB (TURNOUT_MODELS_DISK)."
            )

    def _entries(self) -> Iterator[tuple[str, float, int]]:
        """Key, when it was used last (0 for what was left half filled), and bytes."""
        for directory in self._root.iterdir():
            if directory.is_dir():
                record = directory.with_name(f"{directory.name}.json")
                used_at = record.stat().st_mtime if record.exists() else 0.0
                yield directory.name, used_at, bytes_below(directory)

    def _remove(self, key: str) -> bool:
        """False if somebody uses it."""
        with (self._root / f"{key}.lock").open("a+b") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            (self._root / f"{key}.json").unlink(missing_ok=True)
            shutil.rmtree(self._root / key, ignore_errors=True)
            return True

    def _fill(self, key: str, fill: Callable[[Path], KnownFiles]) -> None:
        directory = self._root / key
        directory.mkdir(exist_ok=True)
        try:
            known = fill(directory)
        except ModelLoadFailed:
            # It would be refused again.
            shutil.rmtree(directory, ignore_errors=True)
            raise
        except OSError as exc:
            raise StorageError(f"The worker's disk refuses the model: {exc.strerror}.") from exc
        known.save(self._root / f"{key}.json")

    def _whole(self, key: str) -> KnownFiles | None:
        """What is known of an entry that is as it was when it was filled."""
        known = KnownFiles.load(self._root / f"{key}.json")
        if known is None or not (self._root / key).is_dir():
            return None
        return known if marks_of(self._root / key) == known.marks else None


def bytes_below(directory: Path) -> int:
    """What the files below take; some may come and go meanwhile."""
    total = 0
    for parent, _directories, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                total += (Path(parent) / name).lstat().st_size
    return total
