"""AutoML on an H2O cluster, over REST with timeouts: H2O's own client has none, and one global connection."""

from collections.abc import Mapping

from pydantic import JsonValue

from workers.runtimes.h2o_automl.connection import source_from
from workers.runtimes.h2o_automl.runtime import H2OAutoMLRuntime


def create(settings: Mapping[str, JsonValue]) -> H2OAutoMLRuntime:
    """The runtime for ``{"cluster_file": path}`` (the keeper's) or ``{"url", "user", "password"}``."""
    return H2OAutoMLRuntime(source_from(settings))
