"""One route's requests, taken straight to its endpoint.

FastAPI's way there (its router, its dependencies, its parameters) takes longer than all that a submission needs.
"""

from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import answer_to


class Shortcut:
    """ASGI middleware, to be put inside of all others. The route has no parameters in its path, and its endpoint takes
    the ``Request`` and nothing else. FastAPI still describes it."""

    def __init__(self, app: ASGIApp, route: APIRoute) -> None:
        self._app = app
        self._route = route
        self._methods = frozenset(route.methods or ())
        self._endpoint: Callable[[Request], Awaitable[Response]] = route.endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self._route.path or scope["method"] not in self._methods:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route
        request = Request(scope, receive, send)
        try:
            response = await self._endpoint(request)
        except Exception as exc:
            problem = answer_to(request, exc)
            if problem is None:
                raise
            response = problem
        await response(scope, receive, send)
