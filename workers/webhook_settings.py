"""What a worker has to know to deliver webhooks."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.webhook_urls import Networks


class WebhookSettings(BaseSettings):
    """Read from ``TURNOUT_…`` variables at an entry point, never at import."""

    model_config = SettingsConfigDict(env_prefix="TURNOUT_")

    deliver_webhooks: bool = Field(default=True, description="False for a worker that reaches no receiver.")
    webhook_allow: Networks = Field(
        default=(), description="Networks that are not public, and yet webhooks may lead there: 10.0.0.0/8,127.0.0.0/8."
    )
