from pathlib import Path

import pytest

from turnout.stack import StackError, StackSettings
from turnout.stack.durations import seconds_of


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TURNOUT_API_PORT", "abc"),
        ("TURNOUT_API_PORT", "70000"),
        ("TURNOUT_FLOWER_PORT", "0"),
        ("TURNOUT_H2O_PORT", "65535"),
        ("TURNOUT_H2O_SLOTS", "0"),
        ("TURNOUT_H2O_NODES", "0"),
        ("TURNOUT_H2O_NODES", "65"),
        ("TURNOUT_GRACE", "soon"),
    ],
)
def test_what_cannot_be_meant_is_said(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(StackError, match=variable):
        StackSettings()


def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TURNOUT_HOME", "TURNOUT_API_PORT", "TURNOUT_BROKER_URL", "TURNOUT_H2O_URL", "TURNOUT_GRACE"):
        monkeypatch.setenv(variable, "")
    settings = StackSettings()
    assert (settings.home, settings.api_port, settings.grace_seconds) == (Path(".turnout"), 8400, 5)
    assert (settings.broker_url, settings.h2o_url) == (None, None)


def test_each_h2o_node_takes_two_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNOUT_H2O_NODES", "2")
    monkeypatch.setenv("TURNOUT_H2O_PORT", "9000")
    found = {part: port for part, (_how, port) in StackSettings().ports().items() if part.startswith("H2O")}
    assert list(found.values()) == [9000, 9001, 9002, 9003]
    assert list(found)[-1] == "H2O node 2's second port"
    with pytest.raises(StackError, match="TURNOUT_H2O_PORT"):
        StackSettings(h2o_port=65_533)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("2.5", 2.5),
        ("PT30S", 30),
        ("PT1M30.5S", 90.5),
        ("P1DT1H", 90_000),
        ("P1W", 604_800),
        ("0:01:30", 90),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "P", "PT", "-PT5S", "5 s", "P1Y", "inf"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        seconds_of(text)
