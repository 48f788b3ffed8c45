"""Jobs in threads of their own, whose items the test has computed batch by batch."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import InvalidInput, JobCancelled, JobError, JobHandedBack, JobOutOfMemory, JobStoppedEmpty
from tests.fakes.job_context import FakeJobContext
from tests.waiting import until
from workers.inference.batcher import Batcher, Group, Item, Limits
from workers.inference.errors import DeviceLost, DeviceOutOfMemory

GROUP = Group("a model")


class Device:
    """Writes down its batches, and fails as it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.fails: Callable[[Sequence[str]], Exception | None] = lambda _values: None
        self.answers: Callable[[Sequence[str]], Sequence[str]] = lambda values: [value.upper() for value in values]

    def compute(self, values: Sequence[str]) -> Sequence[str]:
        self.batches.append(list(values))
        error = self.fails(values)
        if error is not None:
            raise error
        return self.answers(values)


class Jobs:
    """Runs jobs against one batcher, and takes its steps."""

    def __init__(self, directory: Path, threads: ThreadPoolExecutor) -> None:
        self.batcher = Batcher(Limits(token_budget=100, most_items=8), clock=self._clock)
        self.device = Device()
        self.now = 0.0
        self._directory = directory
        self._threads = threads

    def _clock(self) -> float:
        return self.now

    def begin(self, *values: str, group: Group = GROUP) -> "tuple[FakeJobContext, Future[Sequence[str]]]":
        """Returns when its items wait."""
        job = FakeJobContext(self._directory)
        items = [Item(value, len(value)) for value in values]
        before = len(self.batcher)
        future = self._threads.submit(self.batcher.run, job, group, items, self.device.compute)
        until(lambda: len(self.batcher) == before + len(items), what="the items")
        return job, future

    def compute_all(self) -> None:
        while self.batcher.step():
            pass


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with ThreadPoolExecutor(max_workers=8) as threads:
        yield Jobs(tmp_path, threads)


def test_jobs_of_a_group_share_a_batch_and_get_their_own_in_order(jobs: Jobs) -> None:
    _, first = jobs.begin("bb", "a", "ccc")
    _, second = jobs.begin("dd")
    assert jobs.batcher.step()
    assert not jobs.batcher.step()
    assert first.result(10) == ["BB", "A", "CCC"]
    assert second.result(10) == ["DD"]
    assert sorted(jobs.device.batches[0]) == ["a", "bb", "ccc", "dd"]


def test_groups_do_not_share_batches(jobs: Jobs) -> None:
    _, first = jobs.begin("a", group=Group(("m", "cls")))
    _, second = jobs.begin("b", group=Group(("m", "mean")))
    jobs.compute_all()
    assert (first.result(10), second.result(10)) == (["A"], ["B"])
    assert sorted(jobs.device.batches) == [["a"], ["b"]]


def test_a_job_without_items_waits_for_nothing(jobs: Jobs, tmp_path: Path) -> None:
    assert jobs.batcher.run(FakeJobContext(tmp_path), GROUP, [], jobs.device.compute) == []


def test_what_a_job_measures(jobs: Jobs) -> None:
    job, first = jobs.begin("aaaa")
    jobs.begin("bb")
    jobs.now = 3.0

    def slow(values: Sequence[str]) -> Sequence[str]:
        jobs.now += 2.0
        return values

    jobs.device.answers = slow
    job2, third = jobs.begin("cccc", group=Group("another"))
    jobs.compute_all()
    first.result(10)
    third.result(10)
    assert (job.figures["batch_size"], job.figures["inputs"]) == (2, 1)
    assert job.figures["batches"] == 0.5
    assert job.figures["padding_share"] == 0
    assert job.figures["batch_wait_seconds"] == 3.0
    assert job2.figures["device_seconds"] == 2.0


def test_a_bad_item_fails_its_own_job_alone(jobs: Jobs) -> None:
    jobs.device.fails = lambda values: InvalidInput("Text 1 is bad.") if "bad" in values else None
    good = [jobs.begin("abc")[1] for _ in range(5)]
    _, bad = jobs.begin("abc", "bad")
    jobs.compute_all()
    assert [future.result(10) for future in good] == [["ABC"]] * 5
    with pytest.raises(InvalidInput, match="Text 1"):
        bad.result(10)


def test_what_a_library_raises_is_not_shown_to_the_owner(jobs: Jobs) -> None:
    jobs.device.fails = lambda _values: RuntimeError("/secret/path")
    _, bad = jobs.begin("abc")
    jobs.compute_all()
    with pytest.raises(JobError, match="RuntimeError") as caught:
        bad.result(10)
    assert "secret" not in str(caught.value)


def test_a_model_that_answers_too_little_fails_the_jobs(jobs: Jobs) -> None:
    jobs.device.answers = lambda values: values[1:]
    _, one = jobs.begin("abc")
    jobs.compute_all()
    with pytest.raises(JobError, match="0 outputs for 1"):
        one.result(10)


def test_a_batch_that_does_not_fit_is_halved_and_so_are_those_after_it(jobs: Jobs) -> None:
    jobs.device.fails = lambda values: DeviceOutOfMemory("1 GB") if len(values) > 2 else None
    futures = [jobs.begin("abc")[1] for _ in range(8)]
    jobs.compute_all()
    assert [future.result(10) for future in futures] == [["ABC"]] * 8
    assert [len(batch) for batch in jobs.device.batches] == [8, 4, 2, 2, 4, 2, 2]
    futures = [jobs.begin("abc")[1] for _ in range(4)]
    jobs.compute_all()
    assert [len(batch) for batch in jobs.device.batches[7:]] == [2, 2]


def test_an_item_that_does_not_fit_alone_fails_its_job_with_what_it_needs(jobs: Jobs) -> None:
    jobs.device.fails = lambda values: DeviceOutOfMemory("wants 3 GB, 1 GB free") if "x" * 30 in values else None
    _, small = jobs.begin("y" * 30)
    _, large = jobs.begin("x" * 30)
    jobs.compute_all()
    assert small.result(10) == ["Y" * 30]
    with pytest.raises(JobOutOfMemory, match=r"30 tokens .*wants 3 GB, 1 GB free"):
        large.result(10)


def test_a_device_that_is_lost_ends_the_process(tmp_path: Path) -> None:
    ended = threading.Event()

    def end() -> None:
        ended.set()
        raise SystemExit

    batcher = Batcher(Limits(100, 8), on_device_lost=end)

    def compute(values: Sequence[Any]) -> Sequence[Any]:
        raise DeviceLost("an illegal access")

    job = FakeJobContext(tmp_path)
    with ThreadPoolExecutor() as threads:
        future = threads.submit(batcher.run, job, GROUP, [Item("a")], compute)
        until(lambda: len(batcher))
        with pytest.raises(SystemExit):
            batcher.step()
        job.request("cancel")
        with pytest.raises(JobCancelled):
            future.result(10)
    assert ended.is_set()


def test_a_device_s_thread_that_breaks_down_ends_the_process(tmp_path: Path) -> None:
    class PanicException(BaseException):
        """As a library in Rust raises it."""

    ended = threading.Event()
    batcher = Batcher(Limits(100, 8), on_device_lost=ended.set)
    batcher.start()

    def compute(values: Sequence[Any]) -> Sequence[Any]:
        raise PanicException("index out of bounds")

    job = FakeJobContext(tmp_path)
    with ThreadPoolExecutor() as threads:
        future = threads.submit(batcher.run, job, GROUP, [Item("a")], compute)
        assert ended.wait(10)
        job.request("cancel")
        with pytest.raises(JobCancelled):
            future.result(10)


@pytest.mark.parametrize(("mode", "error"), [("cancel", JobCancelled), ("stop", JobStoppedEmpty)])
def test_a_cancelled_job_leaves_its_batch(jobs: Jobs, mode: Any, error: type[Exception]) -> None:
    job, leaving = jobs.begin("abc", "abd")
    _, staying = jobs.begin("xyz")
    job.request(mode)
    with pytest.raises(error):
        leaving.result(10)
    jobs.compute_all()
    assert staying.result(10) == ["XYZ"]
    assert jobs.device.batches == [["xyz"]]


def test_a_job_cancelled_amid_its_batch_gets_nothing_and_the_others_theirs(jobs: Jobs) -> None:
    job, leaving = jobs.begin("abc")
    _, staying = jobs.begin("xyz")
    withdrawn: list[Sequence[bool]] = []

    def compute(values: Sequence[str]) -> Sequence[str]:
        withdrawn.append(jobs.batcher.withdrawn())
        job.request("cancel")
        with pytest.raises(JobCancelled):
            leaving.result(10)
        withdrawn.append(jobs.batcher.withdrawn())
        return [value.upper() for value in values]

    jobs.device.answers = compute
    jobs.compute_all()
    assert staying.result(10) == ["XYZ"]
    assert [sorted(one) for one in withdrawn] == [[False, False], [False, True]]


def test_a_worker_that_ends_gets_back_what_is_not_begun(jobs: Jobs) -> None:
    begun, going_on = jobs.begin("a" * 90, "b" * 90)
    jobs.batcher.step()
    waiting, handed_back = jobs.begin("c")
    for job in (begun, waiting):
        job.request_hand_back()
    with pytest.raises(JobHandedBack):
        handed_back.result(10)
    jobs.compute_all()
    assert going_on.result(10) == ["A" * 90, "B" * 90]


def test_the_device_s_thread_computes_what_comes(tmp_path: Path) -> None:
    batcher = Batcher(Limits(100, 8))
    batcher.start()
    device = Device()
    with ThreadPoolExecutor(max_workers=8) as threads:
        futures = [
            threads.submit(batcher.run, FakeJobContext(tmp_path), GROUP, [Item(str(n), 1)], device.compute)
            for n in range(40)
        ]
        assert [future.result(30) for future in futures] == [[str(n)] for n in range(40)]
