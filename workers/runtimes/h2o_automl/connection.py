"""How the cluster is found: at a fixed address, or in the file that the keeper of the embedded cluster writes."""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue


@dataclass(frozen=True)
class ClusterAddress:
    """``cluster_id`` is None where only the cluster itself can tell it (an external one). ``outside_bytes`` is what the
    cluster may take outside of its heaps; None where nobody knows."""

    url: str
    user: str
    password: str
    cluster_id: str | None = None
    outside_bytes: int | None = None


class ClusterSource(Protocol):
    def locate(self) -> ClusterAddress | None:
        """The cluster as of now; None while there is none."""

    def using(self) -> AbstractContextManager[None]:
        """Around everything that is done with the cluster, ``locate`` included: one in use is not given up for what it
        leaked. Waits while that is being decided."""


@dataclass(frozen=True)
class FixedCluster:
    """An external cluster, which the settings name."""

    address: ClusterAddress

    def locate(self) -> ClusterAddress | None:
        return self.address

    def using(self) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass(frozen=True)
class KeptCluster:
    """The embedded cluster: ``cluster.json`` exists while the keeper's JVM is healthy, and changes with each JVM."""

    cluster_file: Path

    def locate(self) -> ClusterAddress | None:
        try:
            found = json.loads(self.cluster_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return ClusterAddress(
            found["url"], found["user"], found["password"], found["cluster_id"], found["outside_bytes"]
        )

    @contextmanager
    def using(self) -> Iterator[None]:
        # Where the keeper runs in another container, this directory can only be read, and that is enough for the lock.
        try:
            file = self.cluster_file.with_suffix(".use").open("rb")
        except FileNotFoundError:
            # No keeper was ever here, so there is no cluster either.
            yield
            return
        with file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield


def source_from(settings: Mapping[str, JsonValue]) -> ClusterSource:
    """Settings are ``{"cluster_file": path}`` or ``{"url", "user", "password"}``; anything else is a ``ValueError``."""
    if set(settings) == {"cluster_file"}:
        return KeptCluster(Path(str(settings["cluster_file"])))
    if set(settings) == {"url", "user", "password"}:
        url, user, password = (str(settings[name]) for name in ("url", "user", "password"))
        return FixedCluster(ClusterAddress(url.rstrip("/"), user, password))
    raise ValueError(f"h2o_automl needs either cluster_file or url, user and password; it got {sorted(settings)}.")
