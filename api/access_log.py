"""One log line per request, without what its address or headers may hide."""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()

_QUIET = {"/healthz", "/readyz"}


class AccessLog:
    """ASGI middleware. Logs the route's template, never the query."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _QUIET:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        # An error that nothing here turned into an answer is answered outside of all middleware, with this.
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            log.info(
                "http_request",
                method=scope["method"],
                route=str(getattr(scope.get("route"), "path", "")),
                status=status,
                seconds=round(time.perf_counter() - started, 4),
            )
