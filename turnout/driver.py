"""Walking plans with blocking calls."""

import time
from collections.abc import Iterator
from typing import Any, TypeVar

import httpx

from turnout.connection import Connection
from turnout.errors import ClientClosed
from turnout.server import WAY_ERRORS, Server, from_httpx, to_httpx, unusable_way
from turnout.steps import Give, Listing, Pause, Plan, Read, Send, Step, Walk, Work

_Result = TypeVar("_Result")


class Driver:
    """One server, one key, a pool of connections. Safe to use from several threads."""

    def __init__(self, connection: Connection) -> None:
        self.server = Server(connection)
        try:
            self._http = httpx.Client(**self.server.http_options())  # type: ignore[arg-type] # verify's type is httpx's own
        except WAY_ERRORS as exc:
            raise unusable_way(self.server.url, exc) from exc

    def close(self) -> None:
        self._http.close()

    def run(self, plan: Plan[_Result]) -> _Result:
        walk: Walk[object] = Walk(plan)
        for _item in self._walk(walk):
            raise AssertionError("a plan with a result gives no items")
        result: _Result = walk.result
        return result

    def iterate(self, plan: Listing[_Result]) -> Iterator[_Result]:
        return self._walk(Walk(plan))

    def _walk(self, walk: Walk[_Result]) -> Iterator[_Result]:
        line = _Line(self._http)
        try:
            while (step := walk.step) is not None:
                if isinstance(step, Give):
                    yield step.item
                    walk.go_on(None)
                    continue
                try:
                    outcome = line.take(step)
                except BaseException as exc:  # noqa: BLE001 - the plan raises again what it has no answer to
                    walk.fail(exc)
                else:
                    walk.go_on(outcome)
        finally:
            walk.close()
            line.close()


class _Line:
    """Takes the steps of one plan, and holds the answer that it reads."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._response: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())

    def take(self, step: Step) -> Any:
        try:
            match step:
                case Send():
                    return self._send(step)
                case Read():
                    piece = next(self._pieces, b"")
                    # What was on its way when another thread closed the client may still arrive.
                    raise_if_closed(self._http, None)
                    return piece
                case Pause(seconds):
                    return time.sleep(seconds)
                case Work(call):
                    return call()
        except (httpx.RequestError, RuntimeError) as exc:
            raise_if_closed(self._http, exc)
            raise

    def _send(self, step: Send) -> object:
        self.close()
        response = self._http.send(to_httpx(self._http, step.request), stream=step.streamed)
        if step.streamed and response.is_success:
            self._response, self._pieces = response, response.iter_bytes()
            return from_httpx(response, b"")
        try:
            return from_httpx(response, response.read())
        finally:
            response.close()

    def close(self) -> None:
        if self._response is not None:
            self._response.close()


def raise_if_closed(http: httpx.Client | httpx.AsyncClient, exc: Exception | None) -> None:
    """httpx has no error of its own for a client that another thread closed."""
    if http.is_closed:
        raise ClientClosed("This client was closed; make a new one.") from exc
