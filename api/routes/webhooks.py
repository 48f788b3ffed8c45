"""The secret that a holder's webhooks are signed with."""

from fastapi import APIRouter, Response

from api.auth import Holder
from api.services import ServicesOf
from api.webhooks import WebhookSecretView
from db.webhook_secrets import replace_secret, signing_secrets

router = APIRouter(prefix="/v1/webhook-secret", tags=["webhooks"])


@router.get("", summary="What your webhooks are signed with")
def get_secret(holder: Holder, services: ServicesOf, response: Response) -> WebhookSecretView:
    """One for all webhooks of the key's owner, made when it is first asked for or needed."""
    response.headers["Cache-Control"] = "no-store"
    with services.database.write() as session:
        return WebhookSecretView(secret=signing_secrets(session, holder.owner_id)[-1])


@router.post("/replace", summary="Sign with a new secret")
def replace(holder: Holder, services: ServicesOf, response: Response) -> WebhookSecretView:
    """For a day the one before signs along, so that receivers can change over."""
    response.headers["Cache-Control"] = "no-store"
    with services.database.write() as session:
        return WebhookSecretView(secret=replace_secret(session, holder.owner_id))
