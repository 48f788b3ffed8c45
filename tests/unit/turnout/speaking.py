"""Both clients behind one face, so that every test of the SDK runs over both."""

import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, Self, cast

from turnout import AsyncClient, AsyncJob, AsyncModels, Client

Connect = Callable[[str, str], Client]
_NO_MORE = object()


class Portal:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, awaitable: Any) -> Any:
        async def awaited() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(timeout=60)

    def close(self) -> None:
        self.call(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Blocking:
    """An ``AsyncClient``, its models or an ``AsyncJob`` with the methods of the blocking one."""

    def __init__(self, portal: Portal, target: Any) -> None:
        self._portal, self.target = portal, target

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._portal.call(self.target.close())

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.target, name)
        if not inspect.ismethod(value):
            return self._dressed(value)

        def call(*arguments: Any, **named: Any) -> Any:
            outcome = value(*map(_bare, arguments), **{name: _bare(given) for name, given in named.items()})
            if inspect.isasyncgen(outcome):
                return self._items(outcome)
            return self._dressed(self._portal.call(outcome))

        return call

    def _items(self, items: AsyncGenerator[Any, None]) -> Iterator[Any]:
        try:
            while (item := self._portal.call(anext(items, _NO_MORE))) is not _NO_MORE:
                yield self._dressed(item)
        finally:
            self._portal.call(items.aclose())

    def _dressed(self, value: Any) -> Any:
        return Blocking(self._portal, value) if isinstance(value, AsyncJob | AsyncModels) else value


def connecting(portal: Portal | None) -> Connect:
    """How to make a client: without a portal the blocking one, with one the other."""

    def connect(url: str, api_key: str) -> Client:
        if portal is None:
            return Client(url, api_key)
        return cast(Client, Blocking(portal, AsyncClient(url, api_key)))

    return connect


def _bare(value: Any) -> Any:
    if isinstance(value, Blocking):
        return value.target
    return [_bare(item) for item in value] if isinstance(value, list) else value
