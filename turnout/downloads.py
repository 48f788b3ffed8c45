"""Keeping what the server has as a local file."""

import hashlib
import re
import uuid
from functools import partial
from pathlib import Path
from typing import IO

from turnout.errors import BrokenDownload, ServerTrouble, ServerUnreachable, Unusable
from turnout.server import Server
from turnout.steps import Answer, Pause, Plan, Request, Work
from turnout.transport import FOLLOWING_PATIENCE_SECONDS, is_passing, opened, patient, read, usually_patient

# File systems take 255 bytes, and while it arrives a file has a longer name.
_LONGEST_NAME_BYTES = 220
_PARTIAL = 206


def download(server: Server, path: str, target: Path, name: str) -> Plan[Path]:
    """Write the answer to ``target`` (a directory keeps it under ``name``), whole or not at all. Where a connection
    breaks, the rest is asked for. Raises ``BrokenDownload``."""
    if target.is_dir():
        target = target / local_name(name)
    arriving = _Arriving(target.with_name(f"{target.name}.{uuid.uuid4().hex[:12]}.part"))
    try:
        yield from _receive(server, path, arriving)
        if not arriving.is_whole():
            raise BrokenDownload(f"{target.name} arrived damaged; nothing was kept. Try again.")
        arriving.keep_as(target)
    finally:
        arriving.discard()
    return target


class _Arriving:
    """What has come so far, in a file of another name."""

    def __init__(self, part: Path) -> None:
        self.part = part
        self.size_bytes = 0
        self.etag = ""
        self._digest = hashlib.sha256()
        self._file: IO[bytes] | None = None

    def begin(self, answer: Answer) -> None:
        """Go on where it broke off, or from the start where the answer does."""
        if answer.status == _PARTIAL and answer.headers.get("content-range", "").startswith(
            f"bytes {self.size_bytes}-"
        ):
            return
        if self._file is not None:
            self._file.close()
        self._file = self.part.open("wb")
        self._digest, self.size_bytes = hashlib.sha256(), 0
        self.etag = answer.headers.get("etag", "")

    def write(self, piece: bytes) -> None:
        if self._file is not None:
            self._file.write(piece)
            self._digest.update(piece)
            self.size_bytes += len(piece)

    def is_whole(self) -> bool:
        """The server's tag of a file is the SHA-256 of its content."""
        return self._digest.hexdigest() == self.etag.removeprefix("W/").strip('"')

    def keep_as(self, target: Path) -> None:
        if self._file is not None:
            self._file.close()
        self.part.replace(target)

    def discard(self) -> None:
        if self._file is not None:
            # Also ends a write that goes on in a thread of a task that was cancelled.
            self._file.close()
            self.part.unlink(missing_ok=True)


def _receive(server: Server, path: str, arriving: _Arriving) -> Plan[None]:
    patience = usually_patient(server)
    while True:
        before = arriving.size_bytes
        try:
            yield from _receive_once(server, path, arriving)
            return
        except (ServerUnreachable, ServerTrouble) as exc:
            if not is_passing(exc):
                raise
            trouble = exc
        if arriving.is_whole():
            # Only its proper end was lost, and no server has anything after it.
            return
        if arriving.size_bytes > before:
            patience = patient(FOLLOWING_PATIENCE_SECONDS)
        pause = patience.pause()
        if pause is None:
            raise trouble
        yield Pause(pause)


def _receive_once(server: Server, path: str, arriving: _Arriving) -> Plan[None]:
    # Neither a part of a file nor the checksum of a whole one can be told from its compressed form.
    headers = {"Accept-Encoding": "identity"}
    if arriving.size_bytes:
        headers |= {"Range": f"bytes={arriving.size_bytes}-", "If-Range": arriving.etag}
    arriving.begin((yield from opened(server, Request("GET", path, headers=headers))))
    while piece := (yield from read(server)):
        yield Work(partial(arriving.write, piece))


def local_name(name: str) -> str:
    """A name from the server as one inside a directory of ours. Raises ``Unusable`` where it leads out of it."""
    last = "".join(char for char in re.split(r"[/\\]", name)[-1] if char.isprintable())
    if last in ("", ".", ".."):
        raise Unusable(f"{name!r} is no name for a local file; say under which name to keep it.")
    # The end of a long name has what tells its type.
    return last.encode()[-_LONGEST_NAME_BYTES:].decode(errors="ignore")
