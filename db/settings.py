"""Where the database is."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class DatabaseSettings(BaseSettings):
    """Read from ``TURNOUT_…`` variables at an entry point, never at import."""

    model_config = SettingsConfigDict(env_prefix="TURNOUT_")

    database_url: SecretStr = Field(default=SecretStr("sqlite:///.turnout/turnout.db"))
