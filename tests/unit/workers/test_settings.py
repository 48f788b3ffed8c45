"""What a worker is told by its environment."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from workers.settings import WorkerSettings


@pytest.mark.parametrize(
    ("text", "seconds"), [("10", 10), ("0.5", 0.5), ("0", 0), ("PT10S", 10), ("PT5.000000S", 5), ("0:01:00", 60)]
)
def test_grace(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    monkeypatch.setenv("TURNOUT_GRACE", text)
    assert WorkerSettings().grace == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["soon", "-1"])
def test_no_grace(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TURNOUT_GRACE", text)
    with pytest.raises(ValidationError, match="grace"):
        WorkerSettings()
