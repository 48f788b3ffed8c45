"""How an event stream is read, and patience with a server that is away, by a clock that only these tests move."""

import json
from collections.abc import Iterator

import httpx
import pytest

from turnout.connection import Connection
from turnout.errors import ServerTrouble, ServerUnreachable
from turnout.event_stream import EventParser, follow
from turnout.server import Server
from turnout.steps import Answer, Give, Pause, Read, Send, Walk

HEAD = Answer(200, {"content-type": "text/event-stream"})


def event(seq: int, kind: str = "log", message: str = "") -> bytes:
    data = {"seq": seq, "type": kind, "attempt": 1, "created_at": "2030-01-01T00:00:00Z", "data": {"message": message}}
    return f"id: {seq}\nevent: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_events_come_whole_wherever_they_are_cut(size: int, line_end: bytes) -> None:
    # Python, unlike the standard, takes the first three for the end of a line.
    messages = ["a\u2028b", "a\x85b", "a\x1db", "größe 🚂", "plain"]
    stream = b"retry: 1000\n\n: still here\n\n" + b"".join(event(i, message=m) for i, m in enumerate(messages))
    stream = stream.replace(b"\n", line_end)
    parser = EventParser()
    pieces = (stream[start : start + size] for start in range(0, len(stream), size))
    found = [event for piece in pieces for event in parser.feed(piece)]
    assert [event.data["message"] for event in found] == messages


def test_half_an_event_is_none() -> None:
    assert EventParser().feed(event(1) + event(2).removesuffix(b"\n")) == EventParser().feed(event(1))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Line:
    """A server that is away, or sends its pieces and then breaks the connection, as the script says."""

    def __init__(self, clock: Clock, script: list[list[bytes] | None], *, quiet_seconds: float = 3600) -> None:
        self.asked_after: list[str] = []
        self._clock, self._script, self._quiet = clock, script, quiet_seconds
        self._pieces: list[bytes] = []

    def events(self) -> Iterator[int]:
        walk = Walk(follow(Server(Connection("http://127.0.0.1:1", None)), "j"))
        while (step := walk.step) is not None:
            match step:
                case Give(item):
                    yield item.seq
                    walk.go_on(None)
                case Pause(seconds):
                    self._clock.now += seconds
                    walk.go_on(None)
                case Send(request):
                    self.asked_after.append(request.headers["Last-Event-ID"])
                    pieces = self._script.pop(0) if self._script else None
                    self._pieces = pieces or []
                    walk.fail(httpx.ConnectError("away")) if pieces is None else walk.go_on(HEAD)
                case Read() if self._pieces:
                    walk.go_on(self._pieces.pop(0))
                case Read():
                    # So long no event came before the connection broke.
                    self._clock.now += self._quiet
                    walk.fail(httpx.ReadError("broken"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in ("event_stream", "transport"):
        monkeypatch.setattr(f"turnout.{module}.time", made)
    return made


def test_patience_begins_with_the_first_failure(clock: Clock) -> None:
    line = Line(clock, [[event(1)], None, [b": still here\n\n"], None, None, [event(2, "final")]])
    assert list(line.events()) == [1, 2]
    assert line.asked_after == ["0", "1", "1", "1", "1", "1"]


def test_patience_ends(clock: Clock) -> None:
    with pytest.raises(ServerUnreachable):
        list(Line(clock, [[event(1)]]).events())
    assert 1000 + 3600 + 55 < clock.now <= 1000 + 3600 + 60


def test_patience_ends_with_a_server_that_lets_in_and_throws_out(clock: Clock) -> None:
    script: list[list[bytes] | None] = [[b"retry: 1000\n\n", event(1)[:20]]] * 1000
    with pytest.raises(ServerUnreachable):
        list(Line(clock, script, quiet_seconds=0).events())
    assert clock.now <= 1060


def test_an_event_that_comes_twice_is_given_once(clock: Clock) -> None:
    line = Line(clock, [[event(1) + event(2)], [event(1), event(2) + event(3), event(4, "final")]])
    assert list(line.events()) == [1, 2, 3, 4]


def test_a_stream_that_is_none(clock: Clock) -> None:
    with pytest.raises(ServerTrouble, match="no Turnout server") as caught:
        list(Line(clock, [[b"data: {}\n\n"]]).events())
    assert caught.value.code == "not_turnout"
