"""Where a runner may take models from."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import JsonValue

from tasks.errors import ModelLoadFailed

DEFAULT_DISK_BYTES = 50 << 30


@dataclass(frozen=True)
class SourceSettings:
    """``models`` is the operator's directory of models, ``cache`` what was downloaded and unpacked. ``allow`` are globs
    over labels such as ``org/name`` and ``dir:name``; None allows all. What matches ``trusted`` may be code."""

    models: Path | None
    cache: Path
    disk_bytes: int = DEFAULT_DISK_BYTES
    allow: Sequence[str] | None = None
    trusted: Sequence[str] = ("dir:*",)
    offline: bool = False
    hub_endpoint: str | None = None
    hub_token: str | None = None

    @classmethod
    def of(cls, settings: Mapping[str, JsonValue]) -> "SourceSettings":
        """From what the worker says."""
        models, allow = settings.get("models"), settings.get("models_allow")
        endpoint, token = settings.get("hub_endpoint"), settings.get("hub_token")
        return cls(
            models=Path(str(models)) if models else None,
            cache=Path(str(settings.get("model_cache", Path(tempfile.gettempdir()) / "models"))),
            disk_bytes=int(str(settings.get("models_disk", DEFAULT_DISK_BYTES))),
            allow=_globs(allow),
            trusted=_globs(settings.get("models_trusted", ["dir:*"])) or (),
            offline=bool(settings.get("offline", False)),
            hub_endpoint=str(endpoint) if endpoint else None,
            hub_token=str(token) if token else None,
        )

    def require_allowed(self, label: str) -> None:
        """Raises ``ModelLoadFailed`` unless the allow-list has the model."""
        if self.allow is not None and not _matches(label, self.allow):
            raise ModelLoadFailed(
                f"The model {label} is not on this worker's list of allowed models (TURNOUT_MODELS_ALLOW)."
            )

    def require_trusted(self, label: str) -> None:
        """Raises ``ModelLoadFailed`` unless models from there may be code."""
        if not _matches(label, self.trusted):
            raise ModelLoadFailed(
                f"The model {label} is refused: a PyTorch program can carry code, and this worker runs only those "
                f"from trusted places ({', '.join(self.trusted) or 'none'}; TURNOUT_MODELS_TRUSTED). Ask its operator "
                "to put the model into TURNOUT_MODELS, or export it to ONNX and use predict_onnx."
            )


def _globs(value: JsonValue) -> tuple[str, ...] | None:
    return tuple(map(str, value)) if isinstance(value, list) else None


def _matches(label: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(label, glob) for glob in globs)
