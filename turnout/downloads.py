"""Keeping what the server has as a local file."""

import hashlib
import os
import re
from pathlib import Path

from turnout.errors import BrokenDownload, Unusable
from turnout.transport import Transport

# File systems take 255 bytes, and while it arrives a file has a longer name.
_LONGEST_NAME_BYTES = 220


def download(transport: Transport, path: str, target: Path, name: str) -> Path:
    """Write the answer to ``target`` (a directory keeps it under ``name``), whole or not at all."""
    if target.is_dir():
        target = target / local_name(name)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    digest = hashlib.sha256()
    try:
        with transport.stream(path) as response, part.open("wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
                digest.update(chunk)
            expected = response.headers.get("etag", "").strip('"')
        if digest.hexdigest() != expected:
            raise BrokenDownload(f"{target.name} arrived damaged; nothing was kept. Try again.")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def local_name(name: str) -> str:
    """A name from the server as one inside a directory of ours. Raises ``Unusable`` where it leads out of it."""
    last = "".join(char for char in re.split(r"[/\\]", name)[-1] if char.isprintable())
    if last in ("", ".", ".."):
        raise Unusable(f"{name!r} is no name for a local file; say under which name to keep it.")
    # The end of a long name has what tells its type.
    return last.encode()[-_LONGEST_NAME_BYTES:].decode(errors="ignore")
