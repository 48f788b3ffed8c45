"""A job can go while something slow is done for it."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tasks.errors import JobCancelled, JobError, JobHandedBack, JobStoppedEmpty, ModelLoadFailed
from tests.fakes.job_context import FakeJobContext
from tests.waiting import until
from workers.inference.errands import Errands


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=8) as threads:
        yield threads


class Slow:
    """Something that takes until it is let through."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.times = 0

    def __call__(self) -> str:
        self.times += 1
        self.begun.set()
        assert self.go_on.wait(10)
        return "found"


ENDINGS: dict[str, tuple[Callable[[FakeJobContext], None], type[JobError]]] = {
    "cancelled": (lambda job: job.request("cancel"), JobCancelled),
    "stopped": (lambda job: job.request("stop"), JobStoppedEmpty),
    "handed back": (lambda job: job.request_hand_back(), JobHandedBack),
}


@pytest.mark.parametrize(("end", "error"), ENDINGS.values(), ids=ENDINGS)
def test_who_is_to_end_goes_and_the_others_get_what_they_wait_for(
    tmp_path: Path, threads: ThreadPoolExecutor, end: Callable[[FakeJobContext], None], error: type[JobError]
) -> None:
    errands, slow = Errands(), Slow()
    jobs = [FakeJobContext(tmp_path) for _ in range(3)]
    first, *others = [threads.submit(errands.result, "key", slow, job) for job in jobs]
    assert slow.begun.wait(10)
    end(jobs[0])
    with pytest.raises(error):
        first.result(10)
    slow.go_on.set()
    assert [other.result(10) for other in others] == ["found", "found"]
    assert slow.times == 1


def test_what_it_raises_is_raised_where_it_is_waited_for_and_it_is_tried_again(tmp_path: Path) -> None:
    errands, job = Errands(), FakeJobContext(tmp_path)

    def fail() -> None:
        raise ModelLoadFailed("The file is damaged.")

    with pytest.raises(ModelLoadFailed, match="damaged"):
        errands.result("key", fail, job)
    assert errands.result("key", lambda: 7, job) == 7


def test_an_error_keeps_nothing_alive_that_it_came_by(tmp_path: Path) -> None:
    """An entry's lock is held as long as anything refers to it."""
    errands, job = Errands(), FakeJobContext(tmp_path)
    held: list[weakref.ref[Slow]] = []

    def fail() -> None:
        lock = Slow()
        held.append(weakref.ref(lock))
        raise ModelLoadFailed("The file is damaged.")

    gc.disable()
    try:
        with suppress(ModelLoadFailed):
            errands.result("key", fail, job)
        until(lambda: held[0]() is None, what="the end of what was held")
    finally:
        gc.enable()


def test_other_errands_are_not_waited_for(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    errands, slow, job = Errands(), Slow(), FakeJobContext(tmp_path)
    waiting = threads.submit(errands.result, "slow", slow, job)
    assert slow.begun.wait(10)
    assert errands.result("quick", lambda: 7, job) == 7
    slow.go_on.set()
    assert waiting.result(10) == "found"


def test_what_hangs_after_a_job_went_away_is_reported(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    hung = threading.Event()
    errands, slow = Errands(0.05, hung.set), Slow()
    job = FakeJobContext(tmp_path)
    gone = threads.submit(errands.result, "key", slow, job)
    assert slow.begun.wait(10)
    assert not hung.is_set()
    job.request("cancel")
    with pytest.raises(JobCancelled):
        gone.result(10)
    assert hung.wait(10)
    slow.go_on.set()


def test_what_ends_in_time_is_not_reported(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    hung = threading.Event()
    errands, slow = Errands(60, hung.set), Slow()
    job = FakeJobContext(tmp_path)
    gone = threads.submit(errands.result, "key", slow, job)
    assert slow.begun.wait(10)
    job.request("cancel")
    with pytest.raises(JobCancelled):
        gone.result(10)
    slow.go_on.set()
    until(lambda: not any(thread.name == "watch-errand" for thread in threading.enumerate()))
    assert not hung.is_set()
