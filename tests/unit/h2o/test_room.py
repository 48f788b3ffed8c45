"""Jobs that share a cluster's memory: who waits, who goes, and that no two wait for each other."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import JobCancelled, JobStoppedEmpty, MemoryShort
from tests.fakes.job_context import FakeJobContext
from tests.unit.h2o.fake_client import FakeClient, h2o_job
from workers.runtimes.h2o_automl import room as room_module
from workers.runtimes.h2o_automl.keys import RunKeys
from workers.runtimes.h2o_automl.room import Room, take_room

MB = 1 << 20
HEAP = 1000


class Shared(FakeClient):
    """A cluster whose frames ``keys`` several clients see."""

    def __init__(self, keys: set[str], jobs: tuple[str, ...] = (), outside_mb: int | None = None) -> None:
        super().__init__({})
        self.keys = keys
        self.jobs = jobs
        self.outside_bytes = None if outside_mb is None else outside_mb * MB

    def _answer(self, call: str, read_seconds: float = 0) -> Any:
        self.asked.append(call)
        self.read_seconds[call] = read_seconds
        what, _, key = call.rpartition("/" if call.startswith("DELETE") else " ")
        if what == "UPLOAD":
            return self.keys.add(key)
        if what.startswith("DELETE"):
            return self.keys.discard(key)
        return {
            "/3/Cloud": {"nodes": [{"max_mem": HEAP * MB}]},
            "/3/Frames": {"frames": [{"frame_id": {"name": name}} for name in sorted(self.keys)]},
            "/3/Jobs": {"jobs": [h2o_job("k", status, "job_other") for status in self.jobs]},
        }[key]


def keys_of(number: int, run: int = 1) -> RunKeys:
    return RunKeys(f"{number:032x}", run)


def heap(mb: int) -> Room:
    return Room(mb * MB, 0)


@pytest.fixture
def job(tmp_path: Path) -> FakeJobContext:
    return FakeJobContext(tmp_path)


def on_wait(monkeypatch: pytest.MonkeyPatch, job: FakeJobContext, act: Callable[[], object]) -> list[float]:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        act()

    monkeypatch.setattr(job, "wait", wait)
    return waits


def test_what_fits_beside_the_others_goes_at_once(job: FakeJobContext) -> None:
    cluster = Shared({heap(400).key(keys_of(2))})
    take_room(cluster.as_client, job, keys_of(1), heap(600))
    assert heap(600).key(keys_of(1)) in cluster.keys
    assert job.reports == []


def test_a_job_waits_until_another_has_left_and_says_so(job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    other = heap(500).key(keys_of(2))
    cluster = Shared({other})
    waits = on_wait(monkeypatch, job, lambda: cluster.keys.discard(other))
    take_room(cluster.as_client, job, keys_of(1), heap(600))
    assert len(waits) == 1
    assert [message for _, message, _ in job.reports] == [
        "Waiting for room in the cluster: the job takes 600 MB of its heap, which other jobs hold."
    ]
    assert cluster.keys == {heap(600).key(keys_of(1))}
    assert "HEALTH" in cluster.asked


def test_memory_outside_of_the_heap_is_shared_too(job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Room(10 * MB, 300 * MB).key(keys_of(2))
    cluster = Shared({other}, outside_mb=500)
    on_wait(monkeypatch, job, lambda: cluster.keys.discard(other))
    take_room(cluster.as_client, job, keys_of(1), Room(10 * MB, 300 * MB))
    ((_, message, _),) = job.reports
    assert "10 MB of its heap and 300 MB outside of it" in message


@pytest.mark.parametrize(("mode", "error"), [("cancel", JobCancelled), ("stop", JobStoppedEmpty)])
def test_a_job_that_waits_can_be_ended(
    job: FakeJobContext, monkeypatch: pytest.MonkeyPatch, mode: Any, error: type[Exception]
) -> None:
    cluster = Shared({heap(500).key(keys_of(2))})
    on_wait(monkeypatch, job, lambda: job.request(mode))
    with pytest.raises(error):
        take_room(cluster.as_client, job, keys_of(1), heap(600))
    assert cluster.keys == {heap(500).key(keys_of(2))}


def test_what_the_job_itself_had_before_does_not_count(job: FakeJobContext) -> None:
    cluster = Shared({heap(900).key(keys_of(1, run=1)), "job_x_r1_room_9_9", f"{keys_of(2).prefix}train"})
    take_room(cluster.as_client, job, keys_of(1, run=2), heap(900))


def test_one_that_takes_all_there_is_goes_when_it_is_alone(job: FakeJobContext) -> None:
    take_room(Shared(set()).as_client, job, keys_of(1), heap(HEAP))


def test_what_nobody_minds_is_not_waited_for_for_ever(job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt that would take it back may wait for this one's slot."""
    monkeypatch.setattr(room_module, "DESERTED_SECONDS", 0.0)
    cluster = Shared({heap(500).key(keys_of(2))}, jobs=("DONE",))
    on_wait(monkeypatch, job, lambda: None)
    with pytest.raises(MemoryShort, match="nothing works on it"):
        take_room(cluster.as_client, job, keys_of(1), heap(600))


def test_what_works_is_waited_for(job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "DESERTED_SECONDS", 0.0)
    monkeypatch.setattr(room_module, "_LOOK_AT_JOBS_SECONDS", 0.0)
    cluster = Shared({heap(500).key(keys_of(2))}, jobs=("RUNNING",))
    waits = on_wait(monkeypatch, job, lambda: cluster.keys.clear() if len(waits) > 5 else None)
    take_room(cluster.as_client, job, keys_of(1), heap(600))


def test_many_at_once_never_get_more_than_there_is_and_all_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_module, "SHORTEST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(room_module, "LONGEST_PAUSE_SECONDS", 0.02)
    keys: set[str] = set()
    holding: set[int] = set()
    most: list[int] = []
    lock = threading.Lock()

    def run(number: int) -> None:
        client, job, own = Shared(keys), FakeJobContext(tmp_path / str(number)), keys_of(number)
        take_room(client.as_client, job, own, heap(400))
        with lock:
            holding.add(number)
            most.append(len(holding))
        job.wait(0.005)
        with lock:
            holding.discard(number)
        keys.discard(heap(400).key(own))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(most) == 8
    assert max(most) == 2
