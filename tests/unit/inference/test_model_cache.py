"""Which models stay loaded."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import JobCancelled, JobOutOfMemory, ModelLoadFailed
from tests.fakes.job_context import FakeJobContext
from tests.waiting import until
from workers.inference.errors import DeviceOutOfMemory
from workers.inference.model_cache import Held, ModelCache

MB = 1 << 20


class Models:
    """A cache of 100 MB, and what was loaded into it."""

    def __init__(self, directory: Path) -> None:
        self.now = 0.0
        self.loads: list[str] = []
        self.told: list[Sequence[Held]] = []
        self.cache = ModelCache(100 * MB, timedelta(minutes=10), clock=lambda: self.now, on_change=self.told.append)
        self._directory = directory

    def job(self) -> FakeJobContext:
        return FakeJobContext(self._directory)

    def using(
        self,
        name: str,
        megabytes: int = 40,
        *,
        job: FakeJobContext | None = None,
        load: Callable[[], object] | None = None,
        holds: int | None = None,
    ) -> AbstractContextManager[str]:
        def load_it() -> str:
            self.loads.append(name)
            if load is not None:
                load()
            return f"model {name}"

        return self.cache.using(
            name,
            job or self.job(),
            name=name,
            needs_bytes=megabytes * MB,
            load=load_it,
            held_bytes=lambda _model: (megabytes if holds is None else holds) * MB,
        )

    def use(self, name: str, megabytes: int = 40) -> None:
        with self.using(name, megabytes) as model:
            assert model == f"model {name}"
        self.now += 1

    @property
    def held(self) -> set[str]:
        return {one.name for one in self.cache.held()}


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(tmp_path)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=8) as threads:
        yield threads


def test_the_second_use_loads_nothing(models: Models) -> None:
    first, second = models.job(), models.job()
    with models.using("a", job=first, load=lambda: setattr(models, "now", models.now + 2)):
        pass
    with models.using("a", job=second):
        pass
    assert models.loads == ["a"]
    assert first.figures == {"load_seconds": 2.0, "model_loads": 1, "model_hits": 0, "model_bytes": 40 << 20}
    assert second.figures == {"load_seconds": 0.0, "model_loads": 0, "model_hits": 1, "model_bytes": 40 << 20}


def test_the_one_used_longest_ago_makes_room(models: Models) -> None:
    for name in ("a", "b", "a", "c"):
        models.use(name)
    assert models.held == {"a", "c"}
    assert [sorted(one.name for one in told) for told in models.told] == [["a"], ["a", "b"], ["a"], ["a", "c"]]


def test_a_model_in_use_stays(models: Models) -> None:
    with models.using("a"):
        models.now += 1
        models.use("b")
        models.use("c")
        assert models.held == {"a", "c"}


def test_who_needs_room_that_is_in_use_waits_for_it(models: Models, threads: ThreadPoolExecutor) -> None:
    with models.using("a", 80):
        waiting = threads.submit(models.use, "b", 80)
        with pytest.raises(TimeoutError):
            waiting.result(0.05)
        assert models.held == {"a"}
    waiting.result(10)
    assert models.held == {"b"}


def test_who_waits_long_for_room_is_not_kept_waiting_by_those_that_come_and_go(
    models: Models, threads: ThreadPoolExecutor
) -> None:
    go_on = threading.Event()

    def use_small(begun: threading.Event) -> None:
        with models.using("small"):
            begun.set()
            assert go_on.wait(10)

    first, second = threading.Event(), threading.Event()
    threads.submit(use_small, first)
    assert first.wait(10)
    large = threads.submit(models.use, "large", 90)
    until(lambda: models.cache._lack_room)
    threads.submit(use_small, second)
    assert second.wait(10)
    models.now += 31
    late = threading.Event()
    third = threads.submit(use_small, late)
    # The small one is loaded, but the large one's turn has come.
    assert not late.wait(0.5)
    go_on.set()
    large.result(10)
    third.result(10)
    assert models.loads == ["small", "large", "small"]
    assert not models.cache._lack_room


def test_who_waits_for_room_can_be_cancelled(models: Models, threads: ThreadPoolExecutor) -> None:
    job = models.job()

    def use() -> None:
        with models.using("b", 80, job=job):
            raise AssertionError("there is no room")

    with models.using("a", 80):
        waiting = threads.submit(use)
        job.request("cancel")
        with pytest.raises(JobCancelled):
            waiting.result(10)


def test_two_that_ask_at_once_share_one_load(models: Models, threads: ThreadPoolExecutor) -> None:
    loading, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        loading.set()
        assert go_on.wait(10)

    def use() -> str:
        with models.using("a", load=slowly) as model:
            return model

    futures: list[Future[str]] = [threads.submit(use) for _ in range(4)]
    assert loading.wait(10)
    go_on.set()
    assert [future.result(10) for future in futures] == ["model a"] * 4
    assert models.loads == ["a"]


def test_who_is_cancelled_does_not_wait_for_its_load_which_the_next_one_finds(
    models: Models, threads: ThreadPoolExecutor
) -> None:
    loading, go_on, job = threading.Event(), threading.Event(), models.job()

    def slowly() -> None:
        loading.set()
        assert go_on.wait(10)

    def use(name: str, megabytes: int, **how: Any) -> str:
        with models.using(name, megabytes, **how) as model:
            return model

    cancelled = threads.submit(use, "a", 80, job=job, load=slowly)
    assert loading.wait(10)
    job.request("cancel")
    with pytest.raises(JobCancelled):
        cancelled.result(10)
    # What is loaded for nobody keeps its room until it is there.
    other = threads.submit(use, "b", 80)
    with pytest.raises(TimeoutError):
        other.result(0.05)
    next_one = threads.submit(use, "a", 80)
    go_on.set()
    assert (next_one.result(10), other.result(10)) == ("model a", "model b")
    assert models.loads.count("b") == 1


def test_a_load_that_fails_fails_its_asker_and_the_next_one_tries_again(models: Models) -> None:
    def fail() -> None:
        raise ModelLoadFailed("The file is damaged.")

    with pytest.raises(ModelLoadFailed), models.using("a", load=fail):
        pass
    assert models.held == set()
    models.use("a", 100)
    assert models.loads == ["a", "a"]


def test_a_model_that_never_fits_says_what_it_needs_and_what_is_free(models: Models) -> None:
    models.use("a", 40)
    with pytest.raises(JobOutOfMemory, match=r"model b needs about 210 MB; .* 105 MB of models, of which 62.9 MB"):
        models.use("b", 200)
    assert models.loads == ["a"]
    assert models.held == {"a"}


def test_a_device_without_room_is_emptied_and_asked_again(models: Models) -> None:
    models.use("a")
    tried: list[set[str]] = []

    def full_at_first() -> None:
        tried.append(models.held)
        if len(tried) == 1:
            raise DeviceOutOfMemory("1 GB wanted, 0.5 GB free")

    with models.using("b", load=full_at_first):
        pass
    assert tried == [{"a"}, set()]


def test_a_device_that_stays_full_is_said_to_be(models: Models) -> None:
    def full() -> None:
        raise DeviceOutOfMemory("1 GB wanted, 0.5 GB free")

    with pytest.raises(JobOutOfMemory, match=r"0\.5 GB free"), models.using("b", load=full):
        pass
    assert models.held == set()


def test_what_a_model_really_takes_counts(models: Models) -> None:
    models.use("a", 40)
    with models.using("b", 40, holds=90):
        assert models.held == {"b"}


def test_what_nobody_uses_for_long_is_unloaded(models: Models) -> None:
    models.use("a")
    models.now += 500
    with models.using("b"):
        models.now += 200
        models.cache.unload_idle()
        assert models.held == {"b"}
        models.now += 6000
        models.cache.unload_idle()
        assert models.held == {"b"}
    models.now += 601
    models.cache.unload_idle()
    assert models.held == set()


@settings(deadline=None, max_examples=100)
@given(uses=st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), max_size=30))
def test_it_holds_what_a_plain_model_of_it_holds(
    tmp_path_factory: pytest.TempPathFactory, uses: list[tuple[str, bool]]
) -> None:
    """Against a list of names, the one used last at the end; each use may happen amid another one's."""
    sizes = {"a": 10, "b": 30, "c": 40, "d": 60, "e": 120}
    models = Models(tmp_path_factory.getbasetemp())
    expected: list[str] = []
    for name, nested in uses:
        with suppress(JobOutOfMemory):
            models.use(name, sizes[name])
            if nested:
                models.use(name, sizes[name])
        if sizes[name] > 100:
            continue
        if name in expected:
            expected.remove(name)
        while sum(sizes[one] for one in expected) + sizes[name] > 100:
            expected.pop(0)
        expected.append(name)
        assert models.held == set(expected)
