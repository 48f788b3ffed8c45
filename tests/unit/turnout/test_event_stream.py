"""Patience with a server that is away, by a clock that only these tests move."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx
import pytest

from turnout.errors import ServerUnreachable
from turnout.event_stream import follow


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Line:
    """A server that is away, or sends its lines and then breaks the connection, as the script says."""

    def __init__(self, clock: Clock, script: list[list[str] | None]) -> None:
        self._clock, self._script = clock, script

    @contextmanager
    def stream(self, _path: str, *, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        lines = self._script.pop(0) if self._script else None
        if lines is None:
            raise ServerUnreachable("away")
        assert headers["Last-Event-ID"] in ("0", "1")
        yield httpx.Response(200, text="\n".join(lines))
        if "final" in "".join(lines):
            return
        # An hour without events went by before the connection broke.
        self._clock.now += 3600
        raise ServerUnreachable("broken")

    def require_open(self) -> None:
        return


def event(seq: int, kind: str) -> list[str]:
    data = {"seq": seq, "type": kind, "attempt": 1, "created_at": "2030-01-01T00:00:00Z", "data": {}}
    return [f"data: {json.dumps(data)}", "", ""]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("turnout.event_stream.time", made)
    return made


def test_patience_begins_with_the_first_failure(clock: Clock) -> None:
    line = Line(clock, [event(1, "state"), None, [": still here", ""], None, None, event(2, "final")])
    assert [event.seq for event in follow(line, "j")] == [1, 2]  # type: ignore[arg-type]


def test_patience_ends(clock: Clock) -> None:
    with pytest.raises(ServerUnreachable):
        list(follow(Line(clock, [event(1, "state")]), "j"))  # type: ignore[arg-type]
    assert 1000 + 3600 + 60 < clock.now < 1000 + 3600 + 65
