"""Walking plans with awaiting ones."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar

import httpx

from turnout.connection import Connection
from turnout.driver import raise_if_closed
from turnout.errors import Unusable
from turnout.server import WAY_ERRORS, Server, from_httpx, to_httpx, unusable_way
from turnout.steps import Give, Listing, Pause, Plan, Read, Send, Step, Walk, Work

_Result = TypeVar("_Result")


class AsyncDriver:
    """One server, one key, a pool of connections. Belongs to the event loop in which it was first used."""

    def __init__(self, connection: Connection) -> None:
        self.server = Server(connection)
        try:
            self._http = httpx.AsyncClient(**self.server.http_options())  # type: ignore[arg-type] # verify's type is httpx's own
        except WAY_ERRORS as exc:
            raise unusable_way(self.server.url, exc) from exc
        self._loop: asyncio.AbstractEventLoop | None = None

    async def close(self) -> None:
        await self._http.aclose()

    async def run(self, plan: Plan[_Result]) -> _Result:
        walk: Walk[object] = Walk(plan)
        async for _item in self._walk(walk):
            raise AssertionError("a plan with a result gives no items")
        result: _Result = walk.result
        return result

    def iterate(self, plan: Listing[_Result]) -> AsyncGenerator[_Result, None]:
        return self._walk(Walk(plan))

    async def _walk(self, walk: Walk[_Result]) -> AsyncGenerator[_Result, None]:
        self._require_own_loop()
        line = _Line(self._http)
        try:
            while (step := walk.step) is not None:
                if isinstance(step, Give):
                    yield step.item
                    walk.go_on(None)
                    continue
                try:
                    outcome = await line.take(step)
                except BaseException as exc:  # noqa: BLE001 - the plan raises again what it has no answer to
                    walk.fail(exc)
                else:
                    walk.go_on(outcome)
        finally:
            walk.close()
            await line.close()

    def _require_own_loop(self) -> None:
        """Connections can't be used in another event loop than the one that opened them, and fail strangely there."""
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise Unusable("An AsyncClient belongs to the event loop in which it was first used; make one in each.")


class _Line:
    """Takes the steps of one plan, and holds the answer that it reads."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._response: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None

    async def take(self, step: Step) -> Any:
        try:
            match step:
                case Send():
                    return await self._send(step)
                case Read():
                    return await self._read()
                case Pause(seconds):
                    return await asyncio.sleep(seconds)
                case Work(call):
                    return await asyncio.to_thread(call)
        except (httpx.RequestError, RuntimeError) as exc:
            raise_if_closed(self._http, exc)
            raise

    async def _send(self, step: Send) -> object:
        await self.close()
        response = await self._http.send(to_httpx(self._http, step.request), stream=step.streamed)
        if step.streamed and response.is_success:
            self._response, self._pieces = response, response.aiter_bytes()
            return from_httpx(response, b"")
        try:
            return from_httpx(response, await response.aread())
        finally:
            await response.aclose()

    async def _read(self) -> bytes:
        piece = b"" if self._pieces is None else await anext(self._pieces, b"")
        # What was on its way when another task closed the client may still arrive.
        raise_if_closed(self._http, None)
        return piece

    async def close(self) -> None:
        if self._response is not None:
            await self._response.aclose()
