"""``python deploy/make_env.py``: writes deploy/.env from .env.example, with a new password wherever that has none."""

import os
import re
import secrets
import sys
from pathlib import Path

_EMPTY = re.compile(r"^(\w+_PASSWORD)=$", re.MULTILINE)


def make_env(directory: Path) -> Path:
    """Raises ``FileExistsError``: the servers' data is tied to the passwords that they were made with."""
    example = (directory / ".env.example").read_text(encoding="utf-8")
    filled = _EMPTY.sub(lambda found: f"{found[1]}={secrets.token_urlsafe(32)}", example)
    path = directory / ".env"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(filled)
    return path


def main() -> int:
    try:
        path = make_env(Path(__file__).parent)
    except FileExistsError as exc:
        sys.stderr.write(f"{exc.filename} is there already. Its passwords are those of the servers' data; keep it.\n")
        return 1
    sys.stdout.write(f"{path}: new passwords. Keep a copy: the servers' data can't be reached without them.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
