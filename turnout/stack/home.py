"""The directory of a stack: made private, and used by one stack at a time."""

import fcntl
import os
import stat
from pathlib import Path
from typing import IO

from turnout.stack.errors import StackError


def prepare_home(home: Path) -> None:
    """Make the directories that are missing, and close the home to others. Raises ``StackError``."""
    try:
        for directory in (home, home / "logs", home / "run"):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if directory == home:
                _close_to_others(home)
    except OSError as exc:
        reason = f"{exc.strerror} ({exc.filename})"
        raise StackError(f"{home} can't be used: {reason}. Choose another with --home or TURNOUT_HOME.") from exc


def take_home(home: Path) -> IO[bytes]:
    """The lock that keeps other stacks out while it is open. Raises ``StackError``."""
    lock = (home / "run" / "up.lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise StackError(f"Turnout is already running in {home}; stop it, or choose another --home.") from None
    return lock


def _close_to_others(home: Path) -> None:
    found = home.stat()
    # Closing such a directory would take it from everybody else.
    if found.st_mode & stat.S_ISVTX or home == home.parent:
        raise StackError(f"{home} is shared with others; choose a directory of its own with --home or TURNOUT_HOME.")
    if found.st_mode & 0o077 and found.st_uid == os.geteuid():
        home.chmod(0o700)
