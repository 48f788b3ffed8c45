"""What the API is told by its environment."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from api.settings import ApiSettings


@pytest.mark.parametrize(("text", "seconds"), [("10", 10), ("0.5", 0.5), ("PT10S", 10), ("0:01:00", 60)])
def test_pause_between_signs_of_life(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    monkeypatch.setenv("TURNOUT_KEEP_ALIVE", text)
    assert ApiSettings().keep_alive == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["soon", "-1", "0"])
def test_no_pause(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Without one each quiet stream would ask the database as fast as it can."""
    monkeypatch.setenv("TURNOUT_KEEP_ALIVE", text)
    with pytest.raises(ValidationError, match="keep_alive"):
        ApiSettings()
