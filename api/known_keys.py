"""Remembers for a moment whom a key belongs to, for calls that look again before they change anything."""

import time
from http import HTTPStatus

from api.problems import Problem
from db.engine import Database
from db.owners import KeyHolder, holder_of, key_sha256

_SECONDS = 10.0


class KnownKeys:
    """Holds only keys that were found, so it grows no larger than there are keys. What a remembered key may see at
    worst, revoked a moment ago, is what is wrong with its own request."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[KeyHolder, float]] = {}

    def remembered(self, secret: str) -> KeyHolder | None:
        holder, until = self._found.get(key_sha256(secret), (None, 0.0))
        return holder if time.monotonic() < until else None

    def look_up(self, database: Database, secret: str) -> KeyHolder:
        """The holder as the database knows it now. Raises the 401 problem."""
        sha256 = key_sha256(secret)
        with database.read() as session:
            holder = holder_of(session, secret)
        if holder is None:
            self._found.pop(sha256, None)
            raise key_unknown()
        self._found[sha256] = (holder, time.monotonic() + _SECONDS)
        return holder


def key_unknown() -> Problem:
    detail = "This API key is not known or was revoked; use another one."
    return Problem(
        HTTPStatus.UNAUTHORIZED, "key_unknown", detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}
    )
