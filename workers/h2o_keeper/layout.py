"""Where the keeper's files lie, and the file that tells workers how to reach the cluster."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class ClusterFile:
    """The content of ``cluster.json``. Whoever can read it can run code as the JVM's user: its mode is 0600."""

    url: str
    user: str
    password: str
    cluster_id: str
    pid: int
    version: str


@dataclass(frozen=True)
class Layout:
    """The directories and files under ``HOME/h2o``."""

    root: Path

    @property
    def cluster_file(self) -> Path:
        return self.root / "cluster.json"

    @property
    def realm_file(self) -> Path:
        return self.root / "realm.properties"

    @property
    def flat_file(self) -> Path:
        return self.root / "nodes.txt"

    @property
    def lock_file(self) -> Path:
        return self.root / "keeper.lock"

    @property
    def output_file(self) -> Path:
        return self.root / "jvm.log"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    @property
    def ice(self) -> Path:
        return self.root / "ice"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def prepare(self) -> None:
        """Make the directories; empty those that hold only what a dead JVM left (a killed one leaves XGBoost's native
        library of 157 MB in ``tmp`` each time)."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for scratch in (self.temporary, self.ice):
            shutil.rmtree(scratch, ignore_errors=True)
        for directory in (self.temporary, self.ice, self.logs):
            directory.mkdir(mode=0o700, exist_ok=True)

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
