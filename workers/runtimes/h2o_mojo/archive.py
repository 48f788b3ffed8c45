"""Looks into a MOJO before Java does: it may come from anybody."""

import configparser
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import InvalidInput

# Far more than the largest models have.
MOST_ENTRIES = 200_000
MOST_BYTES = 4 << 30
_INI = "model.ini"
_MOST_INI_BYTES = 64 << 20


@dataclass(frozen=True)
class Archive:
    """``size_bytes`` is what the model takes unpacked; ``algo`` is H2O's name for the algorithm."""

    size_bytes: int
    algo: str


def look_into(path: Path) -> Archive:
    """Raises ``InvalidInput`` for what is no MOJO, or one that is unreasonably large unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries)
            if len(entries) > MOST_ENTRIES or size > MOST_BYTES:
                raise InvalidInput(
                    f"The model is too large: {len(entries)} files, {size >> 20} MB unpacked; at most {MOST_ENTRIES} "
                    f"files and {MOST_BYTES >> 20} MB are loaded."
                )
            names = {entry.filename for entry in entries}
            if _INI not in names or archive.getinfo(_INI).file_size > _MOST_INI_BYTES:
                raise InvalidInput(_no_mojo("it has no model.ini"))
            return Archive(size, _algorithm(archive.read(_INI)))
    except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, NotImplementedError, RuntimeError, EOFError) as exc:
        raise InvalidInput(_no_mojo("it is no readable ZIP archive")) from exc


def _algorithm(ini: bytes) -> str:
    # Only the first section has keys and values; those after it are lists.
    head = ini.decode(errors="replace").split("[columns]", 1)[0]
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(head)
        return parser["info"]["algo"]
    except (configparser.Error, KeyError) as exc:
        raise InvalidInput(_no_mojo("its model.ini names no algorithm")) from exc


def _no_mojo(why: str) -> str:
    return f"The model is no MOJO of H2O: {why}. Use the artifact model.zip of a training job."
