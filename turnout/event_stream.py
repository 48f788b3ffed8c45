"""Following a job's events over connections that may break."""

import json
import time
from dataclasses import dataclass

from turnout.errors import ServerTrouble, ServerUnreachable
from turnout.parsing import parse_event
from turnout.records import Event
from turnout.server import Server
from turnout.steps import Give, Listing, Pause, Request
from turnout.transport import FOLLOWING_PATIENCE_SECONDS, is_passing, no_turnout, opened, patient, read, segment

_NO_CONTENT = 204


@dataclass
class _Place:
    """How far a stream was followed."""

    seen: int
    ended: bool = False


def follow(server: Server, job_id: str, after: int = 0) -> Listing[Event]:
    """Each event once, in order, until the job is final. A lost connection is taken up again where it broke."""
    path = f"/v1/jobs/{segment(job_id)}/events"
    patience = patient(FOLLOWING_PATIENCE_SECONDS)
    place = _Place(after)
    while True:
        begun, before = time.monotonic(), place.seen
        trouble: ServerUnreachable | ServerTrouble
        try:
            yield from _read_once(server, path, place)
            trouble = ServerUnreachable(f"The server at {server.url} ends every stream before the job is final.")
        except (ServerUnreachable, ServerTrouble) as exc:
            if not is_passing(exc):
                raise
            trouble = exc
        if place.ended:
            return
        if place.seen > before or time.monotonic() - begun > FOLLOWING_PATIENCE_SECONDS:
            patience.renew()
        pause = patience.pause()
        if pause is None:
            raise trouble
        yield Pause(pause)


def _read_once(server: Server, path: str, place: _Place) -> Listing[Event]:
    """What one connection brings."""
    headers = {"Last-Event-ID": str(place.seen), "Accept": "text/event-stream"}
    answer = yield from opened(server, Request("GET", path, headers=headers))
    if answer.status == _NO_CONTENT:
        place.ended = True
        return
    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
        raise no_turnout(server, answer)
    parser = EventParser()
    while piece := (yield from read(server)):
        try:
            events = parser.feed(piece)
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise no_turnout(server, answer) from exc
        for event in events:
            if event.seq <= place.seen:
                continue
            place.seen, place.ended = event.seq, event.type == "final"
            yield Give(event)
            if place.ended:
                return


class EventParser:
    """A text/event-stream (HTML standard, 9.2.6) from pieces that may be cut anywhere, even within a character. An
    event that no empty line ends is not one; comments and fields but the data are passed over."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[Event]:
        # Lines are cut as bytes: JSON may hold characters that Python takes for the end of a line, such as U+2028.
        *lines, self._rest = (self._rest + piece).split(b"\n")
        events = []
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line.removeprefix(b"data:").removeprefix(b" "))
            elif not line and self._data:
                events.append(parse_event(json.loads(b"\n".join(self._data))))
                self._data = []
        return events
