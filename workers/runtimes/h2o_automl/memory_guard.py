"""Says before the upload whether a table fits into the cluster: H2O itself only finds out by running out of memory."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tasks.contracts import JobContext
from tasks.errors import JobOutOfMemory
from tasks.tables.column_facts import TableFacts
from tasks.tabular import TableTraining
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.room import Room, cluster_room

# H2O keeps a value in at most eight bytes (a million rows with 22 columns took 153 MB), and a little for each column.
_VALUE_BYTES = 8
_COLUMN_BYTES = 4096
# The table as it was uploaded, its frame, and the parts it is split into are there at once. With less than that nothing
# begins; H2O's own advice is four times the data.
_LEAST_COPIES = 2
_ADVISED_COPIES = 4
# XGBoost keeps its own copy outside of Java, eight bytes for a value and what it makes of it for its histograms.
_OUTSIDE_COPIES = 2
# So little that it is lost in what a JVM takes beside its heap anyway.
_LITTLE_BYTES = 64 << 20
_MB = 1 << 20


@dataclass(frozen=True)
class Need:
    """Bytes: of the tables in the cluster, and of the files as they are uploaded."""

    data_bytes: int
    file_bytes: int

    @property
    def least_bytes(self) -> int:
        return _LEAST_COPIES * self.data_bytes + self.file_bytes

    @property
    def advised_bytes(self) -> int:
        return max(_ADVISED_COPIES * self.data_bytes, self.least_bytes)

    def outside_bytes(self, spec: TableTraining) -> int:
        """What it takes outside of Java's heap."""
        needed = _OUTSIDE_COPIES * self.data_bytes if "XGBoost" in spec.algorithms else 0
        return needed if needed > _LITTLE_BYTES else 0


def estimate(tables: Iterable[TableFacts], files: Iterable[Path]) -> Need:
    """What these tables take, whatever is in them."""
    cells = sum(table.rows * len(table.columns) * _VALUE_BYTES + len(table.columns) * _COLUMN_BYTES for table in tables)
    return Need(cells, sum(path.stat().st_size for path in files))


def require_room(client: H2OClient, job: JobContext, spec: TableTraining, need: Need) -> Room:
    """Refuse what could not fit even if the job had the cluster to itself, and warn where that would be tight; answers
    what the job should have of the cluster. Raises ``JobOutOfMemory``."""
    there_is = cluster_room(client)
    if need.least_bytes > there_is.heap_bytes:
        raise JobOutOfMemory(
            f"The data takes about {_mb(need.least_bytes)} of H2O's memory before any training, and the cluster has "
            f"{_mb(there_is.heap_bytes)} in all. Give it {_mb(need.advised_bytes)} (TURNOUT_H2O_MEMORY), or train on "
            "fewer rows or columns."
        )
    outside = need.outside_bytes(spec)
    if there_is.outside_bytes is not None and outside > there_is.outside_bytes:
        raise JobOutOfMemory(
            f"XGBoost takes about {_mb(outside)} outside of H2O's heap for this data, and the cluster's machine has "
            f"{_mb(there_is.outside_bytes)} for that. Leave it out (exclude_algos), train on fewer rows or columns, "
            "give the machine more memory, or the heap less (TURNOUT_H2O_MEMORY)."
        )
    if need.advised_bytes > there_is.heap_bytes:
        more = f", and XGBoost about {_mb(outside)} more outside of it" if outside else ""
        job.log(
            f"Memory is tight: H2O advises {_mb(need.advised_bytes)} for this data{more}, and the cluster has "
            f"{_mb(there_is.heap_bytes)}.",
            "warning",
        )
    return Room(min(need.advised_bytes, there_is.heap_bytes), outside)


def _mb(size_bytes: int) -> str:
    return f"{-(-size_bytes // _MB):,} MB"
