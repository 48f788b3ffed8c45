"""The names that one run of a job uses in a cluster."""

import hashlib
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass

# What H2O puts into the names of everything that one AutoML makes. Its hour has one digit until ten o'clock.
AUTOML_TAG = re.compile(r"AutoML_\d+_\d{8}_\d{5,6}")
# What stands in the names of everything that a run of a job makes.
JOB_TAG = re.compile(r"job_[0-9a-f]{32}_r\d+")


# What the names of everything begin with that jobs make in a cluster.
JOB_PREFIX = "job_"


def response_name(target: str, columns: Iterable[str]) -> str:
    """The name of the target column in the cluster: its own, or another that no column has if it isn't ASCII.

    H2O makes the AutoML's key of it, and no request can name a key with other characters.
    """
    if target.isascii():
        return target
    taken = set(columns)
    candidates = itertools.chain(["target"], (f"target_{number}" for number in itertools.count(2)))
    return next(name for name in candidates if name not in taken)


@dataclass(frozen=True)
class RunKeys:
    """Names of everything that run ``run`` (counted from 1) of a job makes in the cluster.

    No name of one job or run is contained in another's: the job's part has a fixed length and each part ends with a
    delimiter, so clean-up may match by prefix.
    """

    job_id: str
    run: int

    @property
    def job_prefix(self) -> str:
        plain = self.job_id.replace("-", "").lower()
        if re.fullmatch(r"[0-9a-f]{32}", plain) is None:
            plain = hashlib.sha256(self.job_id.encode()).hexdigest()[:32]
        return f"{JOB_PREFIX}{plain}_r"

    @property
    def prefix(self) -> str:
        return f"{self.job_prefix}{self.run}_"

    @property
    def project(self) -> str:
        """H2O's name of the AutoML; it has to start with a letter."""
        return f"{self.prefix}automl"

    def automl(self, target: str) -> str:
        """The key that H2O gives the AutoML object of this project and response column, an ASCII name."""
        return f"{self.automl_prefix}{re.sub(r'[^A-Za-z0-9_]', '_', target)}"

    @property
    def automl_prefix(self) -> str:
        """What the AutoML object's key begins with, whatever its response column."""
        return f"{self.project}@@"

    def trained(self, algo: str, what: str) -> str:
        """The grid or the model of one algorithm; a grid calls its models so, with ``_model_1`` and so on. As in an
        AutoML, the algorithm comes first."""
        return f"{algo}_{self.prefix}{what}"

    def frame(self, role: str) -> str:
        """``role`` is ``data``, ``train``, ``validation``, ``test``, …"""
        return f"{self.prefix}{role}"
