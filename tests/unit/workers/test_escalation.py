"""When a runner is terminated and killed, and which cause counts."""

from datetime import timedelta
from typing import Any, cast

import pytest

from workers import escalation
from workers.endings import Why
from workers.escalation import Escalation
from workers.runner_process import RunnerProcess

GRACE = timedelta(seconds=5)


class Clock:
    """A monotonic clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Runner:
    """Keeps the signals that it gets."""

    def __init__(self) -> None:
        self.got: list[str] = []

    def terminate(self) -> None:
        self.got.append("SIGTERM")

    def kill(self) -> None:
        self.got.append("SIGKILL")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(escalation, "time", clock)
    return clock


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def plan(clock: Clock, runner: Runner) -> Escalation:
    return Escalation(cast(RunnerProcess, cast(Any, runner)), GRACE, "j")


def after(clock: Clock, plan: Escalation, seconds: float) -> None:
    clock.now += seconds
    plan.go_on()


def test_asked_then_terminated_then_killed_within_grace_and_two_seconds(
    clock: Clock, runner: Runner, plan: Escalation
) -> None:
    plan.begin(Why.ASKED, "cancel")
    after(clock, plan, 4.9)
    assert (runner.got, plan.why) == ([], Why.ASKED)
    after(clock, plan, 0.2)
    assert (runner.got, plan.why) == (["SIGTERM"], Why.FORCED)
    after(clock, plan, 1.8)
    assert runner.got == ["SIGTERM", "SIGKILL"]
    after(clock, plan, 60)
    assert runner.got == ["SIGTERM", "SIGKILL"]


def test_asking_again_prolongs_nothing(clock: Clock, runner: Runner, plan: Escalation) -> None:
    plan.begin(Why.ASKED, "cancel")
    for _ in range(3):
        after(clock, plan, 2)
        plan.begin(Why.ASKED, "cancel")
    assert runner.got == ["SIGTERM"]
    after(clock, plan, 2)
    assert runner.got == ["SIGTERM", "SIGKILL"]


@pytest.mark.parametrize(
    ("why", "mode", "counts"), [(Why.ASKED, "cancel", Why.FORCED), (Why.SHUTDOWN, None, Why.SHUTDOWN)]
)
def test_what_does_not_wait_for_a_stop(
    clock: Clock, runner: Runner, plan: Escalation, why: Why, mode: str | None, counts: Why
) -> None:
    plan.begin(Why.ASKED, "stop")
    after(clock, plan, 60)
    assert runner.got == []
    plan.begin(why, mode)
    after(clock, plan, 5.1)
    assert (runner.got, plan.why) == (["SIGTERM"], counts)


def test_a_stop_is_given_ten_minutes(clock: Clock, runner: Runner, plan: Escalation) -> None:
    plan.begin(Why.ASKED, "stop")
    after(clock, plan, 599)
    assert runner.got == []
    after(clock, plan, 2)
    assert (runner.got, plan.why) == (["SIGTERM"], Why.FORCED)


@pytest.mark.parametrize("first", [Why.TIMED_OUT, Why.TOO_LATE, Why.STALLED, Why.SHUTDOWN])
def test_otherwise_the_first_cause_counts(clock: Clock, runner: Runner, plan: Escalation, first: Why) -> None:
    plan.begin(first, None if first is Why.SHUTDOWN else "cancel")
    plan.begin(Why.ASKED, "cancel")
    after(clock, plan, 5.1)
    assert (runner.got, plan.why) == (["SIGTERM"], first)
