"""The passwords of a stack's own servers, made once and kept in its home directory."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from turnout.stack.errors import StackError


@dataclass(frozen=True)
class StackSecrets:
    """They protect servers that listen on loopback from other users and programs of the same machine."""

    redis_password: str
    flower_password: str


def has_secrets(home: Path) -> bool:
    """Whether a stack was ever started there."""
    return _file(home).exists()


def load_secrets(home: Path) -> StackSecrets:
    """The stack's secrets; made at its first start. Raises ``StackError`` if their file is damaged."""
    path = _file(home)
    if not has_secrets(home):
        made = StackSecrets(secrets.token_urlsafe(24), secrets.token_urlsafe(12))
        write_private(path, json.dumps(asdict(made)))
    try:
        return StackSecrets(**json.loads(path.read_text()))
    except (ValueError, TypeError):
        raise StackError(f"{path} can't be understood; remove it, and new passwords are made.") from None


def _file(home: Path) -> Path:
    return home / "secrets.json"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; it appears whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    part.rename(path)
