import pytest

from workers.messages import checked

SAID = {"job_id": "j", "attempt": 1}


@pytest.mark.parametrize(
    "message",
    [
        {"type": "ready", "pid": 1},
        {"type": "progress", **SAID, "fraction": None, "message": "", "eta_seconds": None},
        {"type": "log", **SAID, "message": "line", "level": "info"},
        {"type": "output", **SAID, "index": 3, "text": "and so"},
        {"type": "checkpoint", **SAID, "call": 1, "document": {"a": [1, None]}},
        {"type": "cleaned", "job_id": "j", "problem": None},
    ],
)
def test_what_a_runner_says_is_understood(message: dict[str, object]) -> None:
    assert checked(message) == message


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": "died"},
        {"type": "lost", **SAID},
        {"type": "progress", **SAID},
        {"type": "progress", **SAID, "fraction": 2, "message": "", "eta_seconds": None},
        {"type": "log", "job_id": 1, "attempt": "x", "message": "line", "level": "info"},
        {"type": "ready", "pid": 1, "more": True},
        {"type": "output", **SAID, "index": -1, "text": "and so"},
    ],
)
def test_anything_else_is_refused(message: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        checked(message)
