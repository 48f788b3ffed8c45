"""Says before the upload whether a table fits into the cluster: H2O itself only finds out by running out of memory."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tasks.contracts import JobContext
from tasks.errors import JobOutOfMemory
from tasks.tables.column_facts import TableFacts
from tasks.tabular import TableTraining
from workers.runtimes.h2o_automl.client import H2OClient

# H2O keeps a value in at most eight bytes (a million rows with 22 columns took 153 MB), and a little for each column.
_VALUE_BYTES = 8
_COLUMN_BYTES = 4096
# The table as it was uploaded, its frame, and the parts it is split into are there at once. With less than that nothing
# begins; H2O's own advice is four times the data, and XGBoost takes about as much as the data again outside of Java.
_LEAST_COPIES = 2
_ADVISED_COPIES = 4
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


def estimate(tables: Iterable[TableFacts], files: Iterable[Path]) -> Need:
    """What these tables take, whatever is in them."""
    cells = sum(table.rows * len(table.columns) * _VALUE_BYTES + len(table.columns) * _COLUMN_BYTES for table in tables)
    return Need(cells, sum(path.stat().st_size for path in files))


def require_room(client: H2OClient, job: JobContext, spec: TableTraining, need: Need) -> None:
    """Refuse what can't fit into the cluster's heap, and warn where it is tight. Raises ``JobOutOfMemory``."""
    heap = sum(int(node["max_mem"]) for node in client.get("/3/Cloud")["nodes"])
    if need.least_bytes > heap:
        raise JobOutOfMemory(
            f"The data takes about {_mb(need.least_bytes)} of H2O's memory before any training, and the cluster has "
            f"{_mb(heap)} in all. Give it {_mb(need.advised_bytes)} (TURNOUT_H2O_MEMORY), or train on fewer rows or "
            "columns."
        )
    if need.advised_bytes > heap:
        outside = (
            f", and XGBoost about {_mb(need.data_bytes)} more outside of it" if "XGBoost" in spec.algorithms else ""
        )
        job.log(
            f"Memory is tight: H2O advises {_mb(need.advised_bytes)} for this data{outside}, and the cluster has "
            f"{_mb(heap)}.",
            "warning",
        )


def _mb(size_bytes: int) -> str:
    return f"{-(-size_bytes // _MB):,} MB"
