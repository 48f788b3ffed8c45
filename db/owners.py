"""Owners and their API keys."""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from db.ids import new_id
from db.rows import ApiKeyRow, OwnerRow

_KEY_PREFIX = "tk_"


@dataclass(frozen=True)
class KeyHolder:
    """Who a request comes from, and whether it may see every owner's rows."""

    owner_id: str
    owner_name: str
    admin: bool


def make_key(session: Session, *, owner: str, name: str, admin: bool = False) -> str:
    """Make a key for the owner of that name (made if new). The returned secret is kept nowhere."""
    row = session.scalar(select(OwnerRow).where(OwnerRow.name == owner))
    if row is None:
        row = OwnerRow(id=new_id(), name=owner)
        session.add(row)
        session.flush()
    secret = _KEY_PREFIX + secrets.token_urlsafe(32)
    session.add(ApiKeyRow(id=new_id(), owner_id=row.id, name=name, key_sha256=key_sha256(secret), admin=admin))
    session.flush()
    return secret


def holder_of(session: Session, secret: str) -> KeyHolder | None:
    """The holder of a key that is not revoked."""
    found = session.execute(
        select(ApiKeyRow.owner_id, OwnerRow.name, ApiKeyRow.admin)
        .join(OwnerRow, OwnerRow.id == ApiKeyRow.owner_id)
        .where(ApiKeyRow.key_sha256 == key_sha256(secret), ApiKeyRow.revoked_at.is_(None))
    ).one_or_none()
    return None if found is None else KeyHolder(*found)


def count_keys(session: Session) -> int:
    """How many keys work at present."""
    return session.scalar(select(func.count()).select_from(ApiKeyRow).where(ApiKeyRow.revoked_at.is_(None))) or 0


def valid_keys(session: Session, hashes: Collection[str]) -> set[str]:
    """Those of the keys, given by their hashes, that are not revoked."""
    return set(session.connection().execute(_VALID, {"hashes": sorted(hashes)}).scalars())


# Built once, since that takes longer than running it.
_VALID = select(ApiKeyRow.key_sha256).where(
    ApiKeyRow.key_sha256.in_(bindparam("hashes", expanding=True)), ApiKeyRow.revoked_at.is_(None)
)


def key_sha256(secret: str) -> str:
    """What is kept of a key."""
    # A key has 256 random bits, so a plain hash can't be searched; a slow one would only slow every request.
    return hashlib.sha256(secret.encode()).hexdigest()
