"""What an owner's webhooks are signed with: ``whsec_`` and 32 random bytes in base64, as Standard Webhooks has it."""

import base64
import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db.clock import db_now
from db.ids import new_id
from db.rows import OwnerRow, WebhookSecretRow

_PREFIX = "whsec_"
# Both secrets sign for so long, and receivers have the time to learn the new one.
OVERLAP = timedelta(hours=24)


def signing_secrets(session: Session, owner_id: str) -> Sequence[str]:
    """The owner's secret, made when it is first needed, and before it any that was replaced lately."""
    found = _valid(session, owner_id)
    if found:
        return found
    _lock(session, owner_id)
    return _valid(session, owner_id) or [_make(session, owner_id)]


def replace_secret(session: Session, owner_id: str) -> str:
    """A new secret; the one before it signs along for ``OVERLAP``, those before that no more."""
    _lock(session, owner_id)
    of_owner = WebhookSecretRow.owner_id == owner_id
    session.execute(
        update(WebhookSecretRow).where(of_owner, WebhookSecretRow.expires_at.is_not(None)).values(expires_at=db_now())
    )
    session.execute(
        update(WebhookSecretRow)
        .where(of_owner, WebhookSecretRow.expires_at.is_(None))
        .values(expires_at=db_now(OVERLAP))
    )
    return _make(session, owner_id)


def _valid(session: Session, owner_id: str) -> Sequence[str]:
    valid = WebhookSecretRow.expires_at.is_(None) | (WebhookSecretRow.expires_at > db_now())
    query = select(WebhookSecretRow.secret).where(WebhookSecretRow.owner_id == owner_id, valid)
    return session.scalars(query.order_by(WebhookSecretRow.id)).all()


def _lock(session: Session, owner_id: str) -> None:
    """Of two that make a secret at once, the second finds the first one's. Submissions don't wait for this lock."""
    session.execute(select(OwnerRow.id).where(OwnerRow.id == owner_id).with_for_update(key_share=True)).one()


def _make(session: Session, owner_id: str) -> str:
    secret = _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    session.add(WebhookSecretRow(id=new_id(), owner_id=owner_id, secret=secret))
    session.flush()
    return secret
