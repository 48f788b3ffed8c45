"""How the broker is reached and which kinds there are."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class BrokerSettings(BaseSettings):
    """Read from ``TURNOUT_…`` variables at an entry point, never at import."""

    model_config = SettingsConfigDict(env_prefix="TURNOUT_")

    broker_url: SecretStr = Field(default=SecretStr("redis://127.0.0.1:8401/0"))
    kinds: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Packages with further kinds, separated by commas; each module in them declares one."
    )

    @field_validator("kinds", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value
