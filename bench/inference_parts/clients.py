"""Many clients that each submit a job, wait for its result, and submit the next.

``python -m bench.inference_parts.clients PORT KEY CLIENTS COUNT`` prints as JSON how long it took and how long each job
did.
"""

import asyncio
import itertools
import json
import sys
import time

from bench.inference_parts.texts import texts


async def main(port: int, key: str, clients: int, count: int) -> dict[str, object]:
    bodies = iter([json.dumps(job([text])).encode() for text in texts(count)])
    numbers = itertools.count()
    millis: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in bodies:
            began = time.perf_counter()
            head = (
                f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
                f"Prefer: wait=60\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            answer = await _answer(reader)
            if b'"state":"succeeded"' not in answer:
                raise RuntimeError(f"job {next(numbers)} was answered with {answer[:500]!r}")
            millis.append(1000 * (time.perf_counter() - began))
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return {"seconds": time.perf_counter() - began, "millis": millis}


def job(inputs: list[str]) -> dict[str, object]:
    """What is submitted."""
    return {"kind": "embed_text", "spec": {"kind": "embed_text", "model": "model", "texts": inputs}}


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return await reader.readexactly(length)


if __name__ == "__main__":
    port_, key_, clients_, count_ = sys.argv[1:]
    print(json.dumps(asyncio.run(main(int(port_), key_, int(clients_), int(count_)))))
