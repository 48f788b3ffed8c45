"""With which code a worker ends."""

import signal
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from workers.__main__ import _consume
from workers.leaving import Leaving
from workers.supervisor import Supervisor


@pytest.mark.parametrize(("told", "code"), [(True, 0), (False, 1)], ids=["told to end", "of itself"])
def test_when_the_broker_breaks_celery(told: bool, code: int) -> None:
    leaving = FakeLeaving(told)
    app = cast(Any, SimpleNamespace(Worker=BrokenWorker))
    supervisor = cast(Supervisor, SimpleNamespace(consuming=lambda _consumer: None))
    assert _consume(app, supervisor, cast(Leaving, leaving), name="cpu-0", queue="cpu", slots=1) == code
    assert leaving.finished


@pytest.mark.parametrize("told", [True, False])
def test_when_celery_breaks_altogether(told: bool) -> None:
    leaving = FakeLeaving(told)

    class Worker(BrokenWorker):
        def start(self) -> None:
            raise ConnectionError("the broker is gone")

    app = cast(Any, SimpleNamespace(Worker=Worker))
    supervisor = cast(Supervisor, SimpleNamespace(consuming=lambda _consumer: None))
    with nullcontext() if told else pytest.raises(ConnectionError):
        assert _consume(app, supervisor, cast(Leaving, leaving), name="cpu-0", queue="cpu", slots=1) == 0
    assert leaving.finished is told


class BrokenWorker:
    """As Celery's after an error that it can't recover from: ``start`` returns all the same."""

    exitcode = 1

    def __init__(self, **_settings: object) -> None:
        pass

    def start(self) -> None:
        pass


class FakeLeaving:
    def __init__(self, told: bool) -> None:
        self.was_told = told
        self.finished = False

    def tell(self) -> None:
        self.was_told = True

    def hear_first(self, number: signal.Signals) -> None:
        raise AssertionError(number)

    def finish(self) -> None:
        self.finished = True
