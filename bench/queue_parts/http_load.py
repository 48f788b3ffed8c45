"""Many clients at once over HTTP, from processes of their own, at a small fraction of the server's cost.

``python -m bench.queue_parts.http_load PORT CLIENTS COUNT`` reads the whole request from its input, sends it ``COUNT``
times over ``CLIENTS`` connections, each waiting for its answer, and prints what it saw as JSON.
"""

import asyncio
import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import cast

from bench.queue_parts.ground import PYTHON, ROOT, Ground, Run, wait_for

_ACCEPTED = b"HTTP/1.1 202"


@dataclass(frozen=True)
class Load:
    """What is sent, and by how many clients."""

    port: int
    clients: int
    count: int
    body: bytes
    path: str = "/v1/jobs"
    key: str = ""

    def request(self) -> bytes:
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


@dataclass(frozen=True)
class Seen:
    """How long it took, what it cost the clients, and how long each waited for its answer."""

    seconds: float
    cpu_seconds: float
    millis: list[float]


def post_many(ground: Ground, load: Load, *, warm_up: int = 200) -> Run:
    """Submissions a second, and what they cost; the load's own cost is told as ``clients``."""
    wait_for(lambda: listens(load.port), "the API")
    _post(load, warm_up)
    with ground.costing(load.count) as cost:
        seen = _post(load, load.count)
    cost["clients"] = 1000 * seen.cpu_seconds / load.count
    return Run(load.count / seen.seconds, cost, {"answer": seen.millis})


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _post(load: Load, count: int) -> Seen:
    command = [*PYTHON, "bench.queue_parts.http_load", str(load.port), str(load.clients), str(count)]
    done = subprocess.run(
        command, input=load.request(), stdout=subprocess.PIPE, check=True, timeout=600, env={"PYTHONPATH": str(ROOT)}
    )
    return Seen(**json.loads(done.stdout))


class _Client(asyncio.Protocol):
    """One connection. It asks for a share of the work after each answer, so the slow ones hold up nobody."""

    def __init__(self, request: bytes, shared: "_Shared") -> None:
        self._request = request
        self._shared = shared
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        if not head.startswith(_ACCEPTED):
            self._shared.fail(self._received)
            return
        self._shared.millis.append(1000 * (time.perf_counter() - self._sent_at))
        self._received = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._shared.left_to_answer():
            self._shared.fail(repr(exc).encode())

    def _send(self) -> None:
        if self._shared.take():
            self._sent_at = time.perf_counter()
            self._transport.write(self._request)


class _Shared:
    """The work of all clients of this process."""

    def __init__(self, count: int) -> None:
        self._left = self._count = count
        self.millis: list[float] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self) -> bool:
        if not self.left_to_answer() and not self.over.done():
            self.over.set_result(None)
        self._left -= 1
        return self._left >= 0

    def left_to_answer(self) -> int:
        return self._count - len(self.millis)

    def fail(self, received: bytes) -> None:
        if not self.over.done():
            self.over.set_exception(RuntimeError(f"a submission was answered with {received!r}"))


async def _hammer(port: int, clients: int, count: int, request: bytes) -> Seen:
    loop = asyncio.get_running_loop()
    shared = _Shared(count)
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(clients):
        await loop.create_connection(lambda: _Client(request, shared), "127.0.0.1", port)
    await shared.over
    seconds = time.perf_counter() - began
    return Seen(seconds, time.process_time() - cpu, shared.millis)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


if __name__ == "__main__":
    port_, clients_, count_ = map(int, sys.argv[1:])
    print(json.dumps(vars(asyncio.run(_hammer(port_, clients_, count_, sys.stdin.buffer.read())))))
