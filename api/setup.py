"""``python -P -m api.setup [--new-key]``: brings the database up to date and makes the first API key."""

import os
import sys
from pathlib import Path

from api.rooms import check_rooms
from db.engine import Database
from db.owners import count_keys, make_key
from db.schema import upgrade
from db.settings import DatabaseSettings

FIRST_OWNER = "owner"


class KeyFileLost(Exception):
    """There are keys, but the file with the first one is gone."""


def set_up(database: Database, key_file: Path, *, new_key: bool = False) -> None:
    """Migrate, and make sure that ``key_file`` holds an admin key. Raises ``KeyFileLost``."""
    upgrade(database)
    # With the transaction open, of two processes that set up at once the second finds the first one's key.
    with database.write() as session:
        if not new_key and count_keys(session):
            if key_file.is_file():
                return
            raise KeyFileLost(
                f"{key_file} is missing, but the database has API keys. Put the file back, "
                "or make a further key with: python -P -m api.setup --new-key"
            )
        secret = make_key(session, owner=FIRST_OWNER, name="first key", admin=True)
        _write_secret(key_file, secret)


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--new-key"]):
        print(__doc__, file=sys.stderr)  # noqa: T201 - a command's usage
        return 2
    check_rooms()
    settings = DatabaseSettings()
    database = Database(settings.url, durable=True)
    try:
        set_up(database, settings.home / "api-key", new_key=bool(arguments))
    except KeyFileLost as exc:
        print(exc, file=sys.stderr)  # noqa: T201 - a command's answer
        return 1
    finally:
        database.dispose()
    return 0


def _write_secret(path: Path, secret: str) -> None:
    """Readable by its owner only from the first moment, and there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
