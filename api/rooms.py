"""Makes sure that the rooms we import are ours: a user's own ``tasks.py`` would shadow one of them."""

from pathlib import Path
from types import ModuleType

import api
import db
import tasks


class ShadowedRoom(Exception):
    """Another package of the same name was imported; start with ``python -P`` and another working directory."""


def check_rooms() -> None:
    """Raises ``ShadowedRoom``."""
    ours = _directory(api).parent
    for room in (db, tasks):
        if _directory(room).parent != ours:
            raise ShadowedRoom(f"another package named {room.__name__!r} shadows Turnout's; start with `python -P`")


def _directory(room: ModuleType) -> Path:
    return Path(room.__file__ or "").resolve().parent
