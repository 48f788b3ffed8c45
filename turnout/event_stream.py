"""Following a job's events over connections that may break."""

import json
import time
from collections.abc import Iterable, Iterator

import httpx

from turnout.errors import ServerTrouble, ServerUnreachable
from turnout.parsing import parse_event
from turnout.records import Event
from turnout.transport import FOLLOWING_PATIENCE_SECONDS, Transport

_PAUSE_SECONDS = 0.5


def follow(transport: Transport, job_id: str, after: int = 0) -> Iterator[Event]:
    """Each event once, in order, until the job is final. A lost connection is taken up again where it broke."""
    seen = after
    # Patience begins with the first failure: before it, a stream may have been quiet for hours.
    give_up: float | None = None
    while True:
        try:
            with transport.stream(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(seen)}) as response:
                give_up = None
                if response.status_code == httpx.codes.NO_CONTENT:
                    return
                for event in read_events(_while_open(transport, response)):
                    seen = event.seq
                    yield event
                    if event.type == "final":
                        return
        except (ServerUnreachable, ServerTrouble):
            give_up = give_up or time.monotonic() + FOLLOWING_PATIENCE_SECONDS
            if time.monotonic() > give_up:
                raise
        # A connection that ends without a final event is a server that restarts.
        time.sleep(_PAUSE_SECONDS)


def _while_open(transport: Transport, response: httpx.Response) -> Iterator[str]:
    for line in response.iter_lines():
        # What was on its way when another thread closed the client may still arrive.
        transport.require_open()
        yield line


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events of a text/event-stream (HTML standard, 9.2.6); comments and other fields are passed over."""
    data: list[str] = []
    for line in lines:
        if not line and data:
            yield parse_event(json.loads("\n".join(data)))
            data = []
        elif line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
