"""Refusing the character NUL in addresses, which no database can look for."""

from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import FieldError, Problem, invalid, respond


class NoNul:
    """ASGI middleware: nothing has such a name (404), and no parameter takes it (422)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "\0" in scope["path"]:
            problem = Problem(HTTPStatus.NOT_FOUND, "not_found", "There is nothing whose name has the character NUL.")
        elif scope["type"] == "http" and (b"%00" in scope["query_string"] or b"\0" in scope["query_string"]):
            problem = invalid([FieldError("", "A parameter may not contain the character NUL.")])
        else:
            await self._app(scope, receive, send)
            return
        await respond(problem)(scope, receive, send)
