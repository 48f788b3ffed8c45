"""What befalls one of the jobs that share a runner, without the runner."""

import math
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any, cast

import pytest

import workers.shared_streak
from db.claims import Fenced, Token
from db.rows import JobRow
from db.states import State
from tasks.contracts import JobSpec
from tasks.kind import Kind
from workers.execution import Ended, Workshop
from workers.shared_execution import SharedExecution, SharedRunner
from workers.shared_streak import SharedStreak
from workers.slots import Slot, Slots
from workers.tally import Claimed, Desk, Tally


class FakeRunner:
    def __init__(self) -> None:
        self.inbox: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self.sent: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def takes_jobs(self) -> bool:
        return True


class TakenAway:
    """A database in which somebody else has the job now."""

    def write(self) -> AbstractContextManager[None]:
        raise Fenced("job a no longer runs attempt 1")


KIND = cast(
    Kind, SimpleNamespace(name="k", spec=JobSpec, clean_up=None, time_limit=timedelta(hours=1), stall_limit=None)
)


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner()


@pytest.fixture
def slot(runner: FakeRunner, tmp_path: Path) -> Slot:
    return cast(Slot, SimpleNamespace(runner=runner, setting=SimpleNamespace(scratch=tmp_path, seats=8)))


def execution(job_id: str, slot: Slot) -> SharedExecution:
    leases = SimpleNamespace(hold=lambda _token, _holder: None)
    shop = SimpleNamespace(database=TakenAway(), leases=leases, grace=timedelta(seconds=5))
    job = JobRow(id=job_id, attempt=1, kind="k", spec={"kind": "k"}, checkpoint=None, losses=0)
    return SharedExecution(cast(Workshop, shop), job, KIND, slot, SharedRunner(slot.runner), 0.0)


def test_one_that_was_taken_away_waits_for_no_answer(slot: Slot, runner: FakeRunner) -> None:
    attempt = execution("a", slot)
    assert attempt.begin() is None
    address = {"job_id": "a", "attempt": 1}
    for call in (7, 8):
        assert attempt.hear({"type": "checkpoint", "call": call, "document": {}, **address}) is None
    answers = [message for message in runner.sent if message["type"] == "answer"]
    assert [(answer["call"], answer["problem"]) for answer in answers] == [(n, "The attempt is over.") for n in (7, 8)]
    assert [message["mode"] for message in runner.sent if message["type"] == "stop"] == ["cancel"]
    finished = {"type": "finished", "outcome": "succeeded", "result": {}, "metrics": {}, **address}
    assert attempt.hear(finished) == Ended(None)


def test_an_invitation_that_comes_too_late_is_for_nobody(slot: Slot, runner: FakeRunner) -> None:
    streak = SharedStreak(cast(Desk, SimpleNamespace(kinds={}, shop=None)), slot, cast(Slots, None), "first")
    streak.nudge()
    attempt = execution("a", slot)
    assert attempt.begin() is None
    assert attempt.hear(cast(FakeRunner, slot.runner).inbox.get_nowait()) is None
    assert [message["type"] for message in runner.sent] == ["run"]


def test_who_waits_to_run_alone_ends_when_it_is_asked_to(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[tuple[Token, State | None]] = []
    monkeypatch.setattr(workers.shared_streak, "hand_back", lambda _session, _token, _cause: State.CANCELLED)
    database = SimpleNamespace(write=lambda: nullcontext(None))
    streak = SharedStreak(
        cast(Desk, SimpleNamespace(kinds={}, shop=SimpleNamespace(database=database))), slot, cast(Slots, None), "first"
    )
    note_end = SimpleNamespace(
        note_end=lambda claimed, state: ended.append((claimed.execution.token, state)), tell=lambda: None
    )
    streak._tally = cast(Tally, note_end)
    alone = [
        Claimed(JobRow(id=name, attempt=1, kind="k", spec={}, losses=2), execution(name, slot)) for name in ("a", "b")
    ]
    streak._apart.extend(alone)
    streak._pass_on({"type": "asked", "request": "cancel", "job_id": "b", "attempt": 1})
    assert ended == [(Token("b", 1), State.CANCELLED)]
    assert list(streak._apart) == alone[:1]


def test_a_runner_that_has_many_inputs_takes_no_further_job(slot: Slot) -> None:
    desk = SimpleNamespace(kinds={}, shop=None)
    slots = SimpleNamespace(is_wanted=lambda: False)
    streak = SharedStreak(cast(Desk, desk), slot, cast(Slots, slots), "first")
    loads = [streak.load]
    for n in range(3):
        spec = {"texts": ["a"] * 400}
        job = cast(Any, SimpleNamespace(id=f"{n}", kind="k", spec=spec, queued_at=None, created_at=None))
        one = execution(f"{n}", slot)
        streak._order(Claimed(job, one), one)
        loads.append(streak.load)
    # About 128 are expected of the first one, which was not claimed yet.
    assert loads == [128, 528, 928, math.inf]
    assert not streak.invite("another")
