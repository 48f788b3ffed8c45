"""A small disk for artifacts, which can be filled up."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

_SIZE = "96m"


class SmallDisk:
    """A file system in memory, mounted at a directory; only root may mount one."""

    def __init__(self, directory: Path) -> None:
        self._filler = directory / "filler"

    @classmethod
    @contextmanager
    def made(cls, directory: Path) -> Iterator[Self | None]:
        """Mounted while the block runs; None where that is not allowed."""
        directory.mkdir(parents=True)
        mount = ["/bin/mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "turnout-chaos", str(directory)]
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            yield None
            return
        try:
            yield cls(directory)
        finally:
            # Lazily: a process that was killed a moment ago may still have a file open.
            subprocess.run(["/bin/umount", "--lazy", str(directory)], check=True)

    def fill(self) -> None:
        """Leave no byte free."""
        block = b"\0" * (1 << 16)
        with self._filler.open("wb", buffering=0) as filler:
            try:
                while filler.write(block):
                    pass
            except OSError:
                return

    def empty(self) -> None:
        self._filler.unlink()
