"""Where the keeper's files lie, and the file that tells workers how to reach the cluster."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

# Where what H2O is to do without is hidden from it.
SWITCHED_OFF = "off"


@dataclass(frozen=True)
class ClusterFile:
    """The content of ``cluster.json``. Whoever can read it can run code as the JVMs' user: its mode is 0600.

    ``pids`` are the nodes' processes. ``outside_bytes`` is the memory that the cluster may take outside of its heaps,
    for XGBoost; None where the system doesn't tell what is free.
    """

    url: str
    user: str
    password: str
    cluster_id: str
    pids: tuple[int, ...]
    version: str
    outside_bytes: int | None = None


@dataclass(frozen=True)
class NodeFiles:
    """What node ``number`` (from 1) has for itself below ``root``."""

    root: Path
    number: int

    @property
    def temporary(self) -> Path:
        return self.root / f"tmp{self._suffix}"

    @property
    def ice(self) -> Path:
        return self.root / f"ice{self._suffix}"

    @property
    def logs(self) -> Path:
        return self.root / f"logs{self._suffix}"

    @property
    def output_file(self) -> Path:
        return self.root / f"jvm{self._suffix}.log"

    @property
    def _suffix(self) -> str:
        return "" if self.number == 1 else f"-{self.number}"

    def prepare(self) -> None:
        """Make the directories; empty those that hold only what a dead JVM left (a killed one leaves XGBoost's native
        library of 157 MB in ``tmp`` each time)."""
        for scratch in (self.temporary, self.ice):
            shutil.rmtree(scratch, ignore_errors=True)
        for directory in (self.temporary, self.ice, self.logs):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)


@dataclass(frozen=True)
class Layout:
    """The directories and files under ``HOME/h2o``."""

    root: Path

    @property
    def cluster_file(self) -> Path:
        return self.root / "cluster.json"

    @property
    def use_file(self) -> Path:
        """Whoever uses the cluster holds a shared lock on it (``flock(2)``), and the keeper an exclusive one while it
        gives up a cluster that nobody uses."""
        return self.root / "cluster.use"

    @property
    def switched_off(self) -> Path:
        return self.root / SWITCHED_OFF

    @property
    def hadoop_file(self) -> Path:
        return self.switched_off / "hadoop.xml"

    @property
    def realm_file(self) -> Path:
        return self.root / "realm.properties"

    @property
    def flat_file(self) -> Path:
        return self.root / "nodes.txt"

    @property
    def lock_file(self) -> Path:
        return self.root / "keeper.lock"

    def node(self, number: int) -> NodeFiles:
        return NodeFiles(self.root, number)

    def prepare(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.use_file.touch(mode=0o600)

    def announce(self, cluster: ClusterFile) -> None:
        """Replace ``cluster.json`` at once, so that no reader ever sees half of it."""
        write_private(self.cluster_file, json.dumps(asdict(cluster), indent=1))

    def withdraw(self) -> None:
        self.cluster_file.unlink(missing_ok=True)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically and without a moment at which others can read it."""
    partial = path.with_name(path.name + ".part")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
