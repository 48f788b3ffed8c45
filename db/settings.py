"""Where the data is kept."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url

from db.durations import Duration


class DatabaseSettings(BaseSettings):
    """Read from ``TURNOUT_…`` variables at an entry point, never at import."""

    model_config = SettingsConfigDict(env_prefix="TURNOUT_")

    home: Path = Field(default=Path(".turnout"))
    database_url: SecretStr | None = None
    keep_jobs: Duration = timedelta(days=30)
    keep_events: Duration = timedelta(days=7)

    @property
    def url(self) -> URL:
        """The database's URL; by default an SQLite file in the home directory."""
        if self.database_url is not None:
            return make_url(self.database_url.get_secret_value())
        # Not composed as text: a home with a `%` or `?` in its path would lead elsewhere.
        return URL.create("sqlite", database=str(self.home.resolve() / "turnout.db"))

    @property
    def store_root(self) -> Path:
        return self.home / "store"
