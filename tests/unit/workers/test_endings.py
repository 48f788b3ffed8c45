"""Which transaction ends an attempt, for each way in which it can end."""

from typing import Any

import pytest

from db import finish
from db.claims import Token
from db.states import Reason
from workers.endings import Report, Why, ending, report_of

TOKEN = Token("j", 1)
LIMITS = {Why.TIMED_OUT: "too long", Why.STALLED: "no progress"}
SUCCESS = Report(succeeded=True, result={"a": 1})
DIED = Report(died="killed by SIGKILL")
FAILED = Report(code=Reason.UPSTREAM_ERROR, message="no answer", retryable=True)
CLUSTER_LOST = Report(code=Reason.CLUSTER_LOST, message="gone", retryable=True)
KILLED_FOR_MEMORY = Report(died="used too much", code=Reason.OUT_OF_MEMORY, metrics={"peak_memory_bytes": 9})
NO_MORE_MEMORY = Report(code=Reason.OUT_OF_MEMORY, message="no more", retryable=True)
HOPELESS = Report(code=Reason.OUT_OF_MEMORY, message="the heap is too small")
CANCELLED = Report(code=Reason.CANCELLED_BY_USER, message="cancelled")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Records which ending of ``db.finish`` is asked for."""
    made: list[tuple[str, dict[str, Any]]] = []
    for name in ("succeed", "fail", "lose", "hand_back", "end_cancelled"):
        monkeypatch.setattr(finish, name, lambda *_where, name=name, **kw: made.append((name, kw)))
    return made


@pytest.mark.parametrize(
    ("report", "why", "expected"),
    [
        (SUCCESS, None, "succeed"),
        (SUCCESS, Why.TIMED_OUT, "succeed"),
        (SUCCESS, Why.SHUTDOWN, "succeed"),
        (DIED, None, "lose"),
        (DIED, Why.ASKED, "lose"),
        (DIED, Why.FORCED, "end_cancelled"),
        (DIED, Why.SHUTDOWN, "hand_back"),
        (DIED, Why.TIMED_OUT, "fail"),
        (DIED, Why.STALLED, "fail"),
        (FAILED, None, "fail"),
        (CLUSTER_LOST, None, "lose"),
        (KILLED_FOR_MEMORY, None, "lose"),
        (KILLED_FOR_MEMORY, Why.SHUTDOWN, "hand_back"),
        (NO_MORE_MEMORY, None, "lose"),
        (HOPELESS, None, "fail"),
        (FAILED, Why.ASKED, "fail"),
        (FAILED, Why.SHUTDOWN, "hand_back"),
        (CANCELLED, Why.ASKED, "end_cancelled"),
        (CANCELLED, Why.TIMED_OUT, "fail"),
        (CANCELLED, Why.SHUTDOWN, "hand_back"),
    ],
)
def test_each_end_has_its_transaction(
    calls: list[tuple[str, dict[str, Any]]], report: Report, why: Why | None, expected: str
) -> None:
    ending(TOKEN, report, why, LIMITS)(None)  # type: ignore[arg-type]
    assert [name for name, _ in calls] == [expected]


def test_only_a_stall_is_tried_again(calls: list[tuple[str, dict[str, Any]]]) -> None:
    for why in (Why.TIMED_OUT, Why.STALLED):
        ending(TOKEN, DIED, why, LIMITS)(None)  # type: ignore[arg-type]
    assert [(kw["reason"], kw["message"], kw["retryable"]) for _, kw in calls] == [
        (Reason.TIMED_OUT, "too long", False),
        (Reason.STALLED, "no progress", True),
    ]


@pytest.mark.parametrize(
    ("report", "reason", "metrics"),
    [
        (DIED, Reason.WORKER_LOST, {}),
        (KILLED_FOR_MEMORY, Reason.OUT_OF_MEMORY, {"peak_memory_bytes": 9}),
        (NO_MORE_MEMORY, Reason.OUT_OF_MEMORY, {}),
    ],
)
def test_why_an_attempt_is_lost(
    calls: list[tuple[str, dict[str, Any]]], report: Report, reason: Reason, metrics: dict[str, int]
) -> None:
    ending(TOKEN, report, None, LIMITS)(None)  # type: ignore[arg-type]
    assert [(kw.get("reason"), kw.get("metrics")) for _, kw in calls] == [(reason, metrics)]


def test_a_failure_is_read_with_its_pause() -> None:
    report = report_of(
        {
            "outcome": "failed",
            "code": "cluster_lost",
            "message": "gone",
            "retryable": True,
            "retry_after_seconds": 3,
            "metrics": {"run_seconds": 1},
        }
    )
    assert report.retry_after is not None
    assert (report.code, report.retryable, report.retry_after.total_seconds()) == (Reason.CLUSTER_LOST, True, 3)
