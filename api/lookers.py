"""Processes of their own that look at tables: other people's data is never read into this one."""

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.tables.schema import TableSchema

_AT_ONCE = 2
SECONDS = 20.0
COMMAND = ("-m", "tasks.tables")
# Nothing else of this process's environment: it has secrets.
_INHERITED = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "LD_LIBRARY_PATH")


class LookFailed(Exception):
    """The process was ended by its limits, or failed."""


@dataclass
class Lookers:
    """Lets a few look at once."""

    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def look_at(self, path: Path) -> TableSchema:
        """Raises ``LookFailed``."""
        # Its scratch directory is made here: one that is killed would leave what it unpacked.
        async with self._places:
            with TemporaryDirectory(prefix="turnout-look-") as scratch:
                process, said, complaint = await _run(path, scratch)
        if process.returncode != 0:
            last = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise LookFailed(f"ended with {process.returncode}: {last[:200]}")
        return TableSchema.model_validate_json(said)


async def _run(path: Path, scratch: str) -> tuple[asyncio.subprocess.Process, bytes, bytes]:
    """The process after its end, and what it said on either stream."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", *COMMAND, str(path)),
        env=_environment(scratch),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, complaint = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError as exc:
        raise LookFailed(f"took more than {SECONDS:.0f} s") from exc
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return process, said, complaint


def _environment(scratch: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "OMP_NUM_THREADS": "1", "TMPDIR": scratch}
