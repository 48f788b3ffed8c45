"""What a worker has to know about its surroundings."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, ByteSize, Field, JsonValue, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from db.durations import Duration

# A runner itself takes about half of it.
_LEAST_RUNNER_MEMORY = 128 << 20


def _listed(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Globs = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


class WorkerSettings(BaseSettings):
    """Read from ``TURNOUT_…`` variables at an entry point, never at import."""

    model_config = SettingsConfigDict(env_prefix="TURNOUT_")

    home: Path = Field(default=Path(".turnout"))
    grace: Duration = Field(
        default=timedelta(seconds=5),
        description="How long a runner gets to end by itself when a job is cancelled or the worker shuts down.",
    )
    runner_memory: ByteSize | None = Field(
        default=None,
        ge=_LEAST_RUNNER_MEMORY,
        description="What one runner may use of memory, such as 4GB; by default its share of the machine's.",
    )
    seats: int = Field(
        default=64, ge=1, le=1024, description="How many jobs of shared kinds one runner has at once, at most."
    )
    models: Path | None = Field(default=None, description="The directory of the models that are on this machine.")
    models_allow: Globs | None = Field(
        default=None, description="Which models may be used, such as org/*,dir:*; all of them if not given."
    )
    models_trusted: Globs = Field(
        default=("dir:*",), description="Which models may be PyTorch programs, since these can carry code."
    )
    models_disk: ByteSize = Field(
        default=ByteSize(50_000_000_000), ge=1, description="What downloaded and unpacked models may take on the disk."
    )
    offline: bool = Field(
        default=False,
        validation_alias=AliasChoices("TURNOUT_OFFLINE", "HF_HUB_OFFLINE"),
        description="Whether models are downloaded never.",
    )
    hub_endpoint: str | None = Field(
        default=None,
        validation_alias=AliasChoices("TURNOUT_HUB_ENDPOINT", "HF_ENDPOINT"),
        description="The address of the hub, if it is a mirror.",
    )
    hub_token: SecretStr = Field(
        default=SecretStr(""), description="For models of the hub that not everybody may have."
    )
    model_memory: ByteSize | None = Field(
        default=None, description="What one runner may keep of models, such as 4GB; by default half of its memory."
    )
    model_idle: Duration = Field(
        default=timedelta(minutes=15), description="After how long a model that nobody uses is unloaded."
    )
    batch_wait: Duration = Field(
        default=timedelta(0), description="How long a batch waits for more inputs when the device is idle."
    )
    h2o_url: str | None = Field(default=None, description="An H2O cluster elsewhere; without it, the embedded one.")
    h2o_user: str = ""
    h2o_password: SecretStr = SecretStr("")

    @property
    def scratch_root(self) -> Path:
        return self.home.resolve() / "scratch"

    @property
    def cache_root(self) -> Path:
        """For what runners may keep: fonts that were looked up, and the like."""
        return self.home.resolve() / "cache"

    @property
    def lock_root(self) -> Path:
        return self.home.resolve() / "run"

    @property
    def log_root(self) -> Path:
        return self.home.resolve() / "logs"

    def runtime_settings(self) -> dict[str, JsonValue]:
        """What each runtime is made with, by its name. Its secrets go only to the runners that need them."""
        if self.h2o_url is None:
            cluster_file = str(self.home.resolve() / "h2o" / "cluster.json")
            return {"h2o_automl": {"cluster_file": cluster_file}}
        password = self.h2o_password.get_secret_value()
        return {"h2o_automl": {"url": self.h2o_url, "user": self.h2o_user, "password": password}}
