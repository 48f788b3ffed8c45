"""A TCP proxy between the parts and their broker, which breaks connections in the ways that networks do."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

_RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Link:
    """One connection through the proxy. ``silent``: nothing passes any more and nobody is told. ``deaf``: what the
    client says is swallowed."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    silent: bool = False
    deaf: bool = False


class Proxy:
    """Runs in a thread of its own; its methods may be called from any other."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port = port
        self._target_port = target_port
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._admits = "all"
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def start(self) -> None:
        self._thread.start()
        if not self._listening.wait(10):
            raise TimeoutError("the proxy does not listen")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def fall_silent(self) -> None:
        """Half-open: every connection stays open for the clients and carries nothing any more, for good; new ones are
        taken and carry nothing either, until ``admit``."""
        self._do(lambda: self._break("none", _silence))

    def fall_deaf(self) -> None:
        """What clients say on their present connections is swallowed, for good; what they are told still comes."""
        self._do(lambda: self._break("all", _deafen))

    def close_half(self) -> None:
        """Clients are told that the server says no more, while the server believes that they are there."""
        self._do(lambda: self._break("all", _close_half))

    def drop(self) -> None:
        """Every connection is reset, and new ones are, until ``admit``."""
        self._do(lambda: self._break("reset", _reset))

    def admit(self) -> None:
        """New connections work again."""
        self._do(lambda: self._break("all", lambda _link: None))

    def _break(self, admits: str, harm: Callable[[_Link], None]) -> None:
        self._admits = admits
        for link in list(self._links):
            harm(link)

    def _do(self, change: Callable[[], None]) -> None:
        async def changed() -> None:
            change()

        asyncio.run_coroutine_threadsafe(changed(), self._loop).result(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        listening = asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self._loop.run_until_complete(listening)
        self._listening.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.1))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self._links.add(link)
        try:
            await self._carry(link, reader)
        except OSError:
            _reset(link)
        except asyncio.CancelledError:
            return  # the proxy ends
        finally:
            self._links.discard(link)
            writer.close()

    async def _carry(self, link: _Link, reader: asyncio.StreamReader) -> None:
        if self._admits == "reset":
            _reset(link)
            return
        if self._admits == "none":
            link.silent = True
            await _swallow(reader)
            return
        answers, link.server = await asyncio.open_connection("127.0.0.1", self._target_port)
        back = self._begin(self._answer(link, answers))
        try:
            while said := await reader.read(65536):
                if not link.silent and not link.deaf:
                    link.server.write(said)
                    await link.server.drain()
        finally:
            link.server.close()
            back.cancel()

    async def _answer(self, link: _Link, answers: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while answer := await answers.read(65536):
                if not link.silent and not link.client.is_closing():
                    link.client.write(answer)
                    await link.client.drain()
        if not link.silent:
            link.client.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


def _silence(link: _Link) -> None:
    link.silent = True


def _deafen(link: _Link) -> None:
    link.deaf = True


def _close_half(link: _Link) -> None:
    if link.client.can_write_eof():
        with contextlib.suppress(OSError):
            link.client.write_eof()
    # What the server answers from now on has nowhere to go.
    link.silent = True


def _reset(link: _Link) -> None:
    """RST instead of FIN: lingering for no time throws away what was not sent."""
    sock = link.client.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    link.client.transport.abort()
