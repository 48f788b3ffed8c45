"""Some of the jobs are watched by event stream, as a page would do; a broken stream is taken up where it ended."""

import asyncio
import json
import threading
from collections import defaultdict

import httpx

from bench.chaos.evidence import Final

# Of so many jobs one is watched.
_ONE_OF = 20
_AT_ONCE = 20
_PAUSE_SECONDS = 0.5


class Watchers:
    """Watches in a thread of its own. What was told lies in ``told``."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="watch", daemon=True)
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard = 0
        self.watched: set[str] = set()
        self.told: dict[str, list[Final]] = defaultdict(list)

    def start(self) -> None:
        self._thread.start()
        self._http = httpx.AsyncClient(base_url=self._url, headers=self._headers, timeout=30, trust_env=False)

    def watch(self, job_id: str) -> None:
        """Of every so many accepted jobs one is watched."""
        self._heard += 1
        if self._heard % _ONE_OF == 0:
            self.watched.add(job_id)
            self._loop.call_soon_threadsafe(self._begin, job_id)

    def untold(self) -> set[str]:
        """Watched jobs whose stream did not tell of their end."""
        return self.watched - set(self.told)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()

    def _begin(self, job_id: str) -> None:
        task = self._loop.create_task(self._follow(job_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, job_id: str) -> None:
        seen = 0
        async with self._room:
            while True:
                try:
                    seen, ended = await self._stream(job_id, seen)
                except httpx.TransportError:
                    ended = False
                if ended:
                    return
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _stream(self, job_id: str, seen: int) -> tuple[int, bool]:
        """One connection: the last event seen, and whether nothing more will come."""
        headers = {"Last-Event-ID": str(seen)}
        async with self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
            if answer.status_code == httpx.codes.NO_CONTENT:
                return seen, True
            if not answer.is_success:
                return seen, False
            async for line in answer.aiter_lines():
                if not line.startswith("data:"):
                    continue
                event = json.loads(line.removeprefix("data:"))
                seen = event["seq"]
                if event["type"] == "final":
                    self.told[job_id].append(Final(job_id, seen, event["attempt"], event["data"]["state"]))
        return seen, False
