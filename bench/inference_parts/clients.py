"""Clients over HTTP, in a process of their own, at a small fraction of the server's cost.

``python -m bench.inference_parts.clients`` reads ``Requests`` and how they come as JSON from its input, and prints
``Answered`` as JSON. They come from so many ``clients`` at once, each of which waits for its answer before it sends the
next; or ``per_second``, at random moments and whether or not those before were answered.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from bench.queue_parts.ground import PYTHON, ROOT

_PATIENCE_SECONDS = 550
_SEED = 133
# Servers close connections that nobody used for some seconds.
_LONGEST_IDLE_SECONDS = 2.0
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Requests:
    """What is posted, one body a request; ``expected`` is in every good answer."""

    port: int
    path: str
    headers: Mapping[str, str]
    bodies: Sequence[str]
    expected: str


@dataclass(frozen=True)
class Answered:
    """How long everything took, what it cost the clients, and how long each request took."""

    seconds: float
    cpu_seconds: float
    millis: Sequence[float]


def from_many_clients(requests: Requests, clients: int) -> Answered:
    return _apart({"requests": asdict(requests), "clients": clients})


def at_random_moments(requests: Requests, per_second: float) -> Answered:
    return _apart({"requests": asdict(requests), "per_second": per_second})


def _apart(order: Mapping[str, object]) -> Answered:
    done = subprocess.run(
        [*PYTHON, "bench.inference_parts.clients"],
        input=json.dumps(order).encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=_PATIENCE_SECONDS,
        cwd=ROOT,
    )
    return Answered(**json.loads(done.stdout))


class _Posting:
    """Posts over connections that are kept."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        # The last one was used last, at that time.
        self._idle: list[tuple[float, Streams]] = []
        self.millis: list[float] = []

    async def post(self, body: str) -> None:
        content = body.encode()
        began = time.perf_counter()
        reader, writer = streams = await self._connection()
        writer.write(self._head(len(content)) + content)
        answer = await _answer(reader)
        if self._requests.expected.encode() not in answer:
            raise RuntimeError(f"a request was answered with {answer[:500]!r}")
        self.millis.append(1000 * (time.perf_counter() - began))
        self._idle.append((time.perf_counter(), streams))

    def close(self) -> None:
        for _since, (_reader, writer) in self._idle:
            writer.close()
        self._idle.clear()

    async def _connection(self) -> Streams:
        if self._idle and self._idle[-1][0] > time.perf_counter() - _LONGEST_IDLE_SECONDS:
            return self._idle.pop()[1]
        self.close()
        return await asyncio.open_connection("127.0.0.1", self._requests.port)

    def _head(self, length: int) -> bytes:
        lines = [
            f"POST {self._requests.path} HTTP/1.1",
            f"Host: 127.0.0.1:{self._requests.port}",
            "Content-Type: application/json",
            f"Content-Length: {length}",
            *(f"{name}: {value}" for name, value in self._requests.headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode()


async def _closed_loop(requests: Requests, clients: int) -> Answered:
    posting = _Posting(requests)
    bodies = iter(requests.bodies)

    async def client() -> None:
        for body in bodies:
            await posting.post(body)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(clients)))
    answered = Answered(time.perf_counter() - began, time.process_time() - cpu, posting.millis)
    posting.close()
    return answered


async def _open_loop(requests: Requests, per_second: float) -> Answered:
    posting = _Posting(requests)
    draw = random.Random(_SEED)  # noqa: S311 - not a secret
    under_way: list[asyncio.Task[None]] = []
    began = due = time.perf_counter()
    cpu = time.process_time()
    for body in requests.bodies:
        due += draw.expovariate(per_second)
        await asyncio.sleep(due - time.perf_counter())
        under_way.append(asyncio.create_task(posting.post(body)))
    await asyncio.gather(*under_way)
    answered = Answered(time.perf_counter() - began, time.process_time() - cpu, posting.millis)
    posting.close()
    return answered


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return await reader.readexactly(length)


def _main() -> None:
    order = json.load(sys.stdin)
    requests = Requests(**order["requests"])
    if "clients" in order:
        answered = asyncio.run(_closed_loop(requests, order["clients"]))
    else:
        answered = asyncio.run(_open_loop(requests, order["per_second"]))
    print(json.dumps(asdict(answered)))


if __name__ == "__main__":
    _main()
