"""How the API listens and what it accepts."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.durations import Duration
from tasks.webhook_urls import Networks


class ApiSettings(BaseSettings):
    """Read from ``TURNOUT_…`` variables at an entry point, never at import."""

    model_config = SettingsConfigDict(env_prefix="TURNOUT_")

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8400, ge=0, le=65535)
    max_upload_bytes: int = Field(default=20 * 1024**3, gt=0, description="Largest file that may be uploaded.")
    min_free_bytes: int = Field(default=1024**3, ge=0, description="Uploads are refused when the disk would have less.")
    max_spec_bytes: int = Field(default=1024**2, gt=0, description="Largest body of one submission.")
    max_bulk_bytes: int = Field(default=16 * 1024**2, gt=0, description="Largest body of a bulk submission.")
    h2o_url: str | None = Field(default=None, description="An H2O cluster elsewhere, for `turnout doctor` to look at.")
    flower_url: str | None = Field(default=None, description="Where Flower is, for `turnout doctor` to look at.")
    webhook_allow: Networks = Field(
        default=(), description="Networks that are not public, and yet webhooks may lead there: 10.0.0.0/8,127.0.0.0/8."
    )
    keep_alive: Duration = Field(
        default=timedelta(seconds=15), gt=timedelta(0), description="Between comments in a quiet stream."
    )
