"""What is read from the files of the kernel, with files that are made up here."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from workers import placement
from workers.memory import available_bytes, container_bytes, family, in_words, kernel_kills, machine_bytes, used_bytes
from workers.memory_watch import MemoryWatch, RunnerMemory
from workers.placement import default_memory

GB = 10**9
Plant = Callable[[str, str], None]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    return write


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/", {"memory.max": "1000000"}, 1_000_000),
        ("0::/", {"memory.max": "max"}, None),
        ("0::/a/b", {"a/memory.max": "2000000", "a/b/memory.max": "max"}, 2_000_000),
        ("0::/a/b", {"a/memory.max": "2000000", "a/b/memory.max": "3000000"}, 2_000_000),
        ("0::/docker/unseen", {"memory.max": "4000000"}, 4_000_000),
        ("4:memory:/x\n0::/", {"memory/x/memory.limit_in_bytes": "5000000"}, 5_000_000),
        ("4:memory:/x\n0::/", {"memory/x/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("3:cpuset:/x", {}, None),
    ],
)
def test_the_limit_of_a_container(
    tmp_path: Path, plant: Plant, groups: str, files: dict[str, str], limit: int | None
) -> None:
    plant("proc/self/cgroup", groups + "\n")
    for name, text in files.items():
        plant(f"cgroups/{name}", text + "\n")
    assert container_bytes(tmp_path / "proc", tmp_path / "cgroups") == limit


def test_no_control_groups(tmp_path: Path) -> None:
    assert container_bytes(tmp_path, tmp_path) is None
    assert kernel_kills(tmp_path, tmp_path) == 0


@pytest.mark.parametrize(
    ("groups", "files", "available"),
    [
        ("0::/", {}, 8_000 << 10),
        ("0::/", {"memory.max": "max", "memory.current": "5"}, 8_000 << 10),
        ("0::/a", {"a/memory.max": "6000", "a/memory.current": "5000", "a/memory.stat": "anon 1\nfile 300\n"}, 1_300),
        ("0::/a", {"a/memory.max": "6000", "a/memory.current": "7000"}, 0),
        (
            "4:memory:/x",
            {
                "memory/x/memory.limit_in_bytes": "6000",
                "memory/x/memory.usage_in_bytes": "5000",
                "memory/x/memory.stat": "cache 1\ntotal_cache 200\n",
            },
            1_200,
        ),
    ],
)
def test_what_is_left_of_a_machine_or_a_container(
    tmp_path: Path, plant: Plant, groups: str, files: dict[str, str], available: int
) -> None:
    plant("proc/meminfo", "MemTotal:       16000 kB\nMemAvailable:    8000 kB\n")
    plant("proc/self/cgroup", groups + "\n")
    for name, text in files.items():
        plant(f"cgroups/{name}", text + "\n")
    assert available_bytes(tmp_path / "proc", tmp_path / "cgroups") == available


def test_a_system_that_does_not_tell_what_is_left(tmp_path: Path) -> None:
    assert available_bytes(tmp_path, tmp_path) is None


@pytest.mark.parametrize(
    ("groups", "place", "before", "after"),
    [
        ("0::/", "cgroups/memory.events", "low 0\noom 7\noom_kill 1\n", "low 0\noom 7\noom_kill 2\n"),
        ("4:memory:/x", "cgroups/memory/x/memory.oom_control", "under_oom 0\noom_kill 0", "under_oom 0\noom_kill 1"),
        ("0::/", "proc/vmstat", "pgfault 12\noom_kill 0\n", "pgfault 12\noom_kill 3\n"),
    ],
)
def test_a_kill_by_the_kernel_shows(
    tmp_path: Path, plant: Plant, groups: str, place: str, before: str, after: str
) -> None:
    plant("proc/self/cgroup", groups + "\n")
    plant(place, before)
    counted = kernel_kills(tmp_path / "proc", tmp_path / "cgroups")
    plant(place, after)
    assert kernel_kills(tmp_path / "proc", tmp_path / "cgroups") > counted


def test_what_this_process_uses() -> None:
    before = used_bytes(os.getpid())
    held = b"x" * 50_000_000
    assert used_bytes(os.getpid()) > before + len(held) * 0.9
    assert os.getpid() in family(os.getpid())


def test_a_process_that_is_gone_uses_nothing() -> None:
    assert (used_bytes(1 << 30), family(1 << 30)) == (0, [1 << 30])


@pytest.mark.parametrize(
    ("count", "said"), [(5.2 * GB, "5.2 GB"), (4 * GB, "4 GB"), (300_000_000, "300 MB"), (12, "12 bytes")]
)
def test_sizes_in_words(count: float, said: str) -> None:
    assert in_words(count) == said


@pytest.mark.parametrize(
    ("queue", "slots", "machine", "container", "share"),
    [
        ("cpu", 4, 32 * GB, None, 6 * GB),
        ("gpu", 1, 32 * GB, None, 24 * GB),
        ("h2o", 1, 32 * GB, None, 8 * GB),
        ("h2o", 1, 32 * GB, 4 * GB, 3 * GB),
        ("cpu", 2, 32 * GB, 8 * GB, 3 * GB),
        ("cpu", 64, 32 * GB, None, 1 << 30),
        ("remote", 64, 1 * GB, None, 3 * GB // 4),
    ],
)
def test_a_runner_s_share(
    monkeypatch: pytest.MonkeyPatch, queue: str, slots: int, machine: int, container: int | None, share: int
) -> None:
    monkeypatch.setattr(placement, "machine_bytes", lambda: machine)
    monkeypatch.setattr(placement, "container_bytes", lambda: container)
    assert default_memory(queue, slots) == share


def test_a_limit_is_no_more_than_there_is() -> None:
    assert 0 < default_memory("cpu", 1) < machine_bytes()


def test_a_runner_that_keeps_more_than_half_of_its_limit_is_full() -> None:
    runner = RunnerMemory(os.getpid(), kill=lambda: None)
    used = used_bytes(os.getpid())
    assert MemoryWatch(int(1.5 * used)).is_full(runner, reported_peak=used)
    assert not MemoryWatch(4 * used).is_full(runner, reported_peak=4 * used)


def test_only_what_the_kernel_kills_now_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = [5]
    monkeypatch.setattr("workers.memory_watch.kernel_kills", lambda: counted[0])
    watch = MemoryWatch(GB)
    assert not watch.kernel_killed_lately()
    counted[0] += 1
    assert watch.kernel_killed_lately()
