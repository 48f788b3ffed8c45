"""Shifts the wall clock of single processes, where libfaketime is there."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

_SYSTEM = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def find_faketime() -> Path | None:
    """The library to preload: the operating system's or the one in the wheel ``libfaketime``."""
    for found in sorted(Path("/").glob(_SYSTEM.lstrip("/"))):
        return found
    package = importlib.util.find_spec("libfaketime")
    if package is None or package.origin is None:
        return None
    library = Path(package.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
    return library if library.exists() else None


def shifted(library: Path, minutes: int) -> Mapping[str, str]:
    """The environment of a process whose wall clock is off by so much; its monotonic clock is right."""
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{minutes:+d}m",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
    }
