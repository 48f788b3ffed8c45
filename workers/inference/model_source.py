"""Where the models are that specs name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from tasks.contracts import JobContext
from tasks.errors import InvalidInput
from tasks.models import ModelRef


@dataclass(frozen=True)
class ModelFolder:
    """A model on this machine: a directory to be read only, and what is equal for equal content alone."""

    path: Path
    identity: str


class ModelSources:
    """Finds the models of one runner. Safe to use from several threads."""

    def __init__(self, settings: Mapping[str, JsonValue]) -> None:
        """``{"models": directory}`` names the directory of the server's models."""
        models = settings.get("models")
        self._models = None if models is None else Path(str(models))

    def folder(self, ref: ModelRef, job: JobContext) -> ModelFolder:  # noqa: ARG002 - slow sources look at it
        """Raises ``InvalidInput``."""
        if not isinstance(ref, str):
            raise InvalidInput("Name a directory among the server's models.")
        if self._models is None:
            raise InvalidInput("This worker has no models; set TURNOUT_MODELS to their directory.")
        path = self._models / ref
        if Path(ref).name != ref or not path.is_dir():
            raise InvalidInput(f"There is no model {ref!r} among this worker's models.")
        return ModelFolder(path, ref)
