"""Versions below which a library has known holes that a model's files can use."""

import re
from contextlib import suppress
from importlib import metadata

from tasks.errors import UpstreamError

# CVE-2026-4372 and CVE-2026-5241 (transformers), CVE-2026-24747 (torch), external data that gets past the check
# (onnxruntime 1.26); onnx is only asked where it is there, as no job needs it.
_FLOORS = {"transformers": (5, 3), "torch": (2, 10), "safetensors": (0, 4), "onnxruntime": (1, 27), "onnx": (1, 21)}
# The same library under the name of the package that computes on GPUs.
_OTHER_PACKAGES = {"onnxruntime": ("onnxruntime-gpu",)}


def require_safe(*libraries: str) -> None:
    """Called when a runtime starts. Raises ``UpstreamError``, as another worker may have newer ones."""
    for library in libraries:
        version = _version(library)
        if version is None:
            raise UpstreamError(f"This worker lacks the package {library}, which jobs of this kind need.")
        if _numbers(version) < _FLOORS[library]:
            floor = ".".join(map(str, _FLOORS[library]))
            raise UpstreamError(
                f"This worker has {library} {version}, in which a model's files can run code; its operator has to "
                f"install {floor} or newer."
            )


def _version(library: str) -> str | None:
    for package in (library, *_OTHER_PACKAGES.get(library, ())):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(package)
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """The release's numbers; what follows them does not count."""
    begin = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, begin[0].split("."))) if begin else ()
