"""How the cluster is found: at a fixed address, or in the file that the keeper of the embedded cluster writes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue


@dataclass(frozen=True)
class ClusterAddress:
    """``cluster_id`` is None where only the cluster itself can tell it (an external one)."""

    url: str
    user: str
    password: str
    cluster_id: str | None = None


class ClusterSource(Protocol):
    def locate(self) -> ClusterAddress | None:
        """The cluster as of now; None while there is none."""


@dataclass(frozen=True)
class FixedCluster:
    """An external cluster, which the settings name."""

    address: ClusterAddress

    def locate(self) -> ClusterAddress | None:
        return self.address


@dataclass(frozen=True)
class KeptCluster:
    """The embedded cluster: ``cluster.json`` exists while the keeper's JVM is healthy, and changes with each JVM."""

    cluster_file: Path

    def locate(self) -> ClusterAddress | None:
        try:
            found = json.loads(self.cluster_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return ClusterAddress(found["url"], found["user"], found["password"], found["cluster_id"])


def source_from(settings: Mapping[str, JsonValue]) -> ClusterSource:
    """Settings are ``{"cluster_file": path}`` or ``{"url", "user", "password"}``; anything else is a ``ValueError``."""
    if set(settings) == {"cluster_file"}:
        return KeptCluster(Path(str(settings["cluster_file"])))
    if set(settings) == {"url", "user", "password"}:
        url, user, password = (str(settings[name]) for name in ("url", "user", "password"))
        return FixedCluster(ClusterAddress(url.rstrip("/"), user, password))
    raise ValueError(f"h2o_automl needs either cluster_file or url, user and password; it got {sorted(settings)}.")
