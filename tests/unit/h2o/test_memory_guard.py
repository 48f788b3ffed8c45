"""What fits into a cluster, and what is said where it doesn't."""

from pathlib import Path

import pytest

from tasks.errors import JobOutOfMemory
from tasks.kinds.train_automl import TrainAutoML
from tasks.tables.column_facts import TableFacts, TargetFacts
from tests.fakes.job_context import FakeJobContext
from tests.unit.h2o.fake_client import FakeClient
from workers.runtimes.h2o_automl.memory_guard import Need, estimate, require_room
from workers.runtimes.h2o_automl.room import Room

MB = 1 << 20


def spec(**options: object) -> TrainAutoML:
    return TrainAutoML.model_validate({"dataset": {"file": "f"}, "target": "y", **options})


def cluster(*heaps_mb: int, outside_mb: int | None = None) -> FakeClient:
    client = FakeClient({"GET /3/Cloud": lambda: {"nodes": [{"max_mem": heap * MB} for heap in heaps_mb]}})
    client.outside_bytes = None if outside_mb is None else outside_mb * MB
    return client


def facts(rows: int, columns: int) -> TableFacts:
    names = tuple(f"x{n}" for n in range(columns))
    return TableFacts(names, rows, ",", TargetFacts(), frozenset(), str)


def test_a_million_rows_take_what_they_were_seen_to_take(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(b"x" * 1000)
    need = estimate([facts(1_000_000, 22)], [file])
    assert 153 * MB < need.data_bytes < 2 * 153 * MB
    assert need.file_bytes == 1000
    assert need.least_bytes < need.advised_bytes


def test_many_columns_count_even_with_few_rows() -> None:
    assert estimate([facts(10, 50_000)], []).data_bytes > 190 * MB


@pytest.mark.parametrize("heaps", [[1000], [500, 500]])
def test_what_fits_is_not_mentioned(tmp_path: Path, heaps: list[int]) -> None:
    job = FakeJobContext(tmp_path)
    require_room(cluster(*heaps).as_client, job, spec(), Need(250 * MB, 10 * MB))
    assert job.lines == []


@pytest.mark.parametrize(
    ("options", "words"),
    [({}, "XGBoost about 600 MB more outside"), ({"exclude_algos": ["XGBoost"]}, "advises 1,200 MB")],
)
def test_where_it_is_tight_that_is_said(tmp_path: Path, options: dict[str, object], words: str) -> None:
    job = FakeJobContext(tmp_path)
    require_room(cluster(1000).as_client, job, spec(**options), Need(300 * MB, 10 * MB))
    ((level, line),) = job.lines
    assert level == "warning"
    assert words in line
    assert ("XGBoost" in line) == (not options)


def test_what_can_not_fit_is_refused_with_what_it_takes(tmp_path: Path) -> None:
    need = Need(600 * MB, 10 * MB)
    with pytest.raises(JobOutOfMemory, match=r"about 1,210 MB .* cluster has 1,000 MB in all. Give it 2,400 MB"):
        require_room(cluster(1000).as_client, FakeJobContext(tmp_path), spec(), need)


def test_xgboost_needs_memory_that_no_heap_has(tmp_path: Path) -> None:
    need, job = Need(300 * MB, 10 * MB), FakeJobContext(tmp_path)
    with pytest.raises(JobOutOfMemory, match=r"about 600 MB outside .* has 500 MB for that. Leave it out"):
        require_room(cluster(9000, outside_mb=500).as_client, job, spec(), need)
    room = require_room(cluster(9000, outside_mb=500).as_client, job, spec(exclude_algos=["XGBoost"]), need)
    assert room == Room(1200 * MB, 0)
    assert require_room(cluster(9000, outside_mb=700).as_client, job, spec(), need) == Room(1200 * MB, 600 * MB)
    # Nobody knows it of a cluster elsewhere.
    assert require_room(cluster(9000).as_client, job, spec(), need) == Room(1200 * MB, 600 * MB)


def test_a_small_table_is_trained_on_a_machine_that_is_full(tmp_path: Path) -> None:
    room = require_room(cluster(1000, outside_mb=0).as_client, FakeJobContext(tmp_path), spec(), Need(MB, MB))
    assert room == Room(4 * MB, 0)


def test_what_is_tight_takes_the_whole_heap(tmp_path: Path) -> None:
    room = require_room(cluster(1000).as_client, FakeJobContext(tmp_path), spec(), Need(300 * MB, 10 * MB))
    assert room.heap_bytes == 1000 * MB
