"""Which place a worker takes, and whom it follows there."""

from pathlib import Path

import pytest

from workers.placement import take_place
from workers.settings import WorkerSettings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkerSettings:
    monkeypatch.setenv("TURNOUT_HOME", str(tmp_path))
    return WorkerSettings()


def test_a_place_is_taken_once_and_left_to_a_successor(settings: WorkerSettings) -> None:
    first = take_place(settings, "cpu")
    first.enter("one worker's id")
    second = take_place(settings, "cpu")
    second.enter("another's")
    assert [(place.name, place.predecessor) for place in (first, second)] == [("cpu-0", None), ("cpu-1", None)]
    first.lock.close()
    successor = take_place(settings, "cpu")
    assert (successor.name, successor.predecessor) == ("cpu-0", "one worker's id")
    successor.enter("a longer or shorter id")
    successor.lock.close()
    assert take_place(settings, "cpu").predecessor == "a longer or shorter id"


def test_a_file_that_names_nobody(settings: WorkerSettings) -> None:
    settings.lock_root.mkdir(parents=True)
    (settings.lock_root / "worker-cpu-0.lock").write_bytes(b"\xff\xfe")
    place = take_place(settings, "cpu")
    assert (place.name, place.predecessor) == ("cpu-0", "\ufffd\ufffd")


def test_a_full_disk_costs_only_the_successor_s_knowledge(settings: WorkerSettings) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        place = take_place(settings, "cpu")
        type(place)(place.name, full, None).enter("an id")
