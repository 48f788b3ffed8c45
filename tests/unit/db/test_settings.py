"""How long things are kept, as the environment says it."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from db.settings import DatabaseSettings


@pytest.mark.parametrize("name", ["keep_jobs", "keep_events"])
@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("10", timedelta(seconds=10)),
        ("0.5", timedelta(seconds=0.5)),
        ("0", timedelta(0)),
        ("PT10S", timedelta(seconds=10)),
        ("P30D", timedelta(days=30)),
        ("1:30:00", timedelta(hours=1, minutes=30)),
    ],
)
def test_durations(monkeypatch: pytest.MonkeyPatch, name: str, text: str, duration: timedelta) -> None:
    monkeypatch.setenv(f"TURNOUT_{name.upper()}", text)
    assert getattr(DatabaseSettings(), name) == duration


# A negative one would forget jobs before they end, and a moment before all calendars is none that PostgreSQL knows.
@pytest.mark.parametrize("text", ["soon", "-10", "-PT10S", "inf", "9" * 400, "P5000Y"])
def test_what_is_no_duration(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TURNOUT_KEEP_JOBS", text)
    with pytest.raises(ValidationError, match="keep_jobs"):
        DatabaseSettings()
