"""Keeping what the server has as a local file."""

import hashlib
import os
from pathlib import Path

from turnout.errors import BrokenDownload
from turnout.transport import Transport


def download(transport: Transport, path: str, target: Path) -> Path:
    """Write the answer to ``target`` (a directory keeps it under ``path``'s last part), whole or not at all."""
    if target.is_dir():
        target = target / path.rsplit("/", 1)[-1]
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
