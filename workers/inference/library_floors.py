"""Versions below which a library has known holes that a model's files can use."""

import re
from importlib import metadata

from tasks.errors import UpstreamError

# CVE-2026-4372 and CVE-2026-5241 (transformers), CVE-2026-24747 (torch), external data that gets past the check
# (onnxruntime 1.26); onnx is only asked where it is there, as no job needs it.
_FLOORS = {"transformers": (5, 3), "torch": (2, 10), "safetensors": (0, 4), "onnxruntime": (1, 27), "onnx": (1, 21)}


def require_safe(*libraries: str) -> None:
    """Called when a runtime starts. Raises ``UpstreamError``, as another worker may have newer ones."""
    for library in libraries:
        try:
            version = metadata.version(library)
        except metadata.PackageNotFoundError as exc:
            raise UpstreamError(f"This worker lacks the package {library}, which jobs of this kind need.") from exc
        if _numbers(version) < _FLOORS[library]:
            floor = ".".join(map(str, _FLOORS[library]))
            raise UpstreamError(
                f"This worker has {library} {version}, in which a model's files can run code; its operator has to "
                f"install {floor} or newer."
            )


def _numbers(version: str) -> tuple[int, ...]:
    """The release's numbers; what follows them does not count."""
    begin = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, begin[0].split("."))) if begin else ()
