"""Scores with H2O's MOJOs by its own library (h2o-genmodel) in a JVM inside the runner, without a cluster."""

from collections.abc import Mapping

from pydantic import JsonValue

from workers.runtimes.h2o_mojo.runtime import MojoRuntime

DEFAULT_HEAP = "1g"


def create(settings: Mapping[str, JsonValue]) -> MojoRuntime:
    """The runtime for ``{}`` or ``{"heap": "512m"}``, the most memory that models may take in Java."""
    return MojoRuntime(str(settings.get("heap", DEFAULT_HEAP)))
