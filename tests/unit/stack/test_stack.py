from collections.abc import Sequence
from pathlib import Path

import pytest

from turnout.stack import Stack, StackSettings


class Given:
    """Notes how long the processes get to end."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def stop(self, names: Sequence[str], seconds: float) -> None:
        self.seconds |= dict.fromkeys(names, seconds)

    def stop_rest(self, seconds: float) -> None:
        self.seconds["the rest"] = seconds


def test_workers_get_longer_than_their_jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TURNOUT_GRACE", "PT2M")
    stack = Stack(StackSettings(home=tmp_path))
    given = Given()
    monkeypatch.setattr(stack, "_children", given)
    stack.stop()
    assert given.seconds["worker-h2o"] == given.seconds["worker-cpu"] == 135
