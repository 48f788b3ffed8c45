"""Counts, times and logs requests."""

import re
import time
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tasks.logs import LogLine

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_QUIET = {"/healthz", "/readyz"}
_WAIT_PARAMETER = re.compile(rb"(?:^|&)wait=")
_WAIT_PREFERENCE = re.compile(rb"\bwait\s*=", re.IGNORECASE)


class HttpFigures:
    """What this process answers. Labels are bounded: routes by their templates, never an address."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "turnout_http_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "turnout_http_request_seconds",
            "Time to answer; without event streams and requests that asked to wait.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_progress = Gauge("turnout_http_requests_in_progress", "Requests being answered.", registry=registry)
        self.streams = Gauge("turnout_event_streams_open", "Event streams that are open.", registry=registry)
        self.long_polls = Gauge("turnout_long_polls_waiting", "Requests that asked to wait, and do.", registry=registry)


class WatchRequests:
    """ASGI middleware: counts and times requests, and logs a line for each, which names the route's template and never
    what an address or a header may hide."""

    def __init__(self, app: ASGIApp, figures: HttpFigures) -> None:
        self._app = app
        self._figures = figures
        # One for each combination of labels, which are bounded; looking them up anew takes longer than counting.
        self._kinds: dict[tuple[str, str, int, bool], _Kind] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        figures = self._figures
        answer = _Answer(figures.streams)
        waits = _asks_to_wait(scope)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.begin(message)
            await send(message)

        started = time.perf_counter()
        figures.in_progress.inc()
        if waits:
            figures.long_polls.inc()
        try:
            await self._app(scope, receive, noting)
        finally:
            seconds = time.perf_counter() - started
            figures.in_progress.dec()
            if waits:
                figures.long_polls.dec()
            answer.end()
            # They last as long as somebody likes, which says nothing of how fast answers are.
            kind = self._kind(scope, answer.status, timed=not answer.streams and not waits)
            kind.requests.inc()
            if kind.seconds is not None:
                kind.seconds.observe(seconds)
            if scope["path"] not in _QUIET:
                kind.line.write(seconds=round(seconds, 4))

    def _kind(self, scope: Scope, status: int, *, timed: bool) -> "_Kind":
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = str(getattr(scope.get("route"), "path", "") or "unmatched")
        known = self._kinds.get((method, route, status, timed))
        if known is None:
            known = self._kinds[method, route, status, timed] = _Kind(
                self._figures.requests.labels(method, route, str(status)),
                self._figures.seconds.labels(method, route) if timed else None,
                LogLine("http_request", method=method, route=route, status=status),
            )
        return known


@dataclass(frozen=True)
class _Kind:
    """Where requests of one method, route and status are counted, timed and logged."""

    requests: Counter
    seconds: Histogram | None
    line: LogLine


class _Answer:
    """One response; counted among the open streams while it is one."""

    def __init__(self, open_streams: Gauge) -> None:
        self._open_streams = open_streams
        # An error that nothing here turned into an answer is answered outside of all middleware, with this.
        self.status = 500
        self.streams = False

    def begin(self, message: Message) -> None:
        self.status = message["status"]
        content_types = [value for name, value in message.get("headers", ()) if name.lower() == b"content-type"]
        self.streams = any(value.startswith(b"text/event-stream") for value in content_types)
        if self.streams:
            self._open_streams.inc()

    def end(self) -> None:
        if self.streams:
            self._open_streams.dec()


def _asks_to_wait(scope: Scope) -> bool:
    if _WAIT_PARAMETER.search(scope["query_string"]):
        return True
    return any(name == b"prefer" and _WAIT_PREFERENCE.search(value) for name, value in scope["headers"])
