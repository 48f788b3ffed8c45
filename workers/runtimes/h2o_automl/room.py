"""Shares a cluster's memory among the jobs that compute on it at once.

Each job claims what it takes, whole and before it brings anything in, by a key in the cluster whose name says how much.
The claim goes with the rest of what the job has there, and holds for whoever shares the cluster, from any machine.
"""

import random
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

from tasks.contracts import JobContext
from tasks.errors import MemoryShort
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.data_preparation import heed_stop
from workers.runtimes.h2o_automl.frames import TERMINAL, frame_names, listed_jobs, remove_key
from workers.runtimes.h2o_automl.keys import JOB_PREFIX, RunKeys

# Two that claimed at once both stand back, and should not meet again.
SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 3.0
SAY_AGAIN_SECONDS = 60.0
# Others may hold room while no H2O job runs for them, between two steps. If that takes so long, nobody minds them: the
# attempt that would may be waiting for this one's slot.
DESERTED_SECONDS = 600.0
_LOOK_AT_JOBS_SECONDS = 30.0
_MB = 1 << 20
_CLAIM = re.compile(r"(job_[0-9a-f]{32}_r)\d+_room_(\d+)_(\d+)")


@dataclass(frozen=True)
class Room:
    """Memory of a cluster: of its heaps, and of its machine outside of them, None where that is unknown."""

    heap_bytes: int
    outside_bytes: int | None = None

    def key(self, keys: RunKeys) -> str:
        """The key with which a run claims so much; whole MB, rounded up."""
        return f"{keys.prefix}room_{-(-self.heap_bytes // _MB)}_{-(-(self.outside_bytes or 0) // _MB)}"

    def holds(self, rooms: Iterable["Room"]) -> bool:
        """Whether all of these fit in it together; a single one is taken to."""
        wanted = list(rooms)
        if len(wanted) <= 1:
            return True
        if sum(room.heap_bytes for room in wanted) > self.heap_bytes + len(wanted) * _MB:
            return False
        outside = sum(room.outside_bytes or 0 for room in wanted)
        return self.outside_bytes is None or outside <= self.outside_bytes + len(wanted) * _MB


def cluster_room(client: H2OClient) -> Room:
    """All that a cluster has."""
    nodes = client.get("/3/Cloud")["nodes"]
    return Room(sum(int(node["max_mem"]) for node in nodes), client.outside_bytes)


def take_room(client: H2OClient, job: JobContext, keys: RunKeys, room: Room) -> None:
    """Claim ``room`` for a run, waiting as long as other jobs hold too much of the cluster.

    Of those that claim at once, each sees all that claimed before it, so together they never get more than there is; a
    job that waits holds nothing, so they can't wait for each other. Raises ``MemoryShort`` where others hold room but
    nobody seems to mind them any more, and what ends a job that has nothing yet.
    """
    queue = _Waiting(client, job, room)
    while True:
        heed_stop(job)
        client.require_health()
        if _fits(client, keys, room):
            key = room.key(keys)
            _claim(client, job, key)
            if _fits(client, keys, room):
                return
            remove_key(client, key)
        queue.wait()


def _fits(client: H2OClient, keys: RunKeys, room: Room) -> bool:
    return cluster_room(client).holds([room, *_held_by_others(client, keys).values()])


def _held_by_others(client: H2OClient, keys: RunKeys) -> dict[str, Room]:
    """What other jobs claimed, by the key of the claim."""
    found = {name: _CLAIM.fullmatch(name) for name in frame_names(client)}
    return {
        name: Room(int(claim[2]) * _MB, int(claim[3]) * _MB)
        for name, claim in found.items()
        if claim is not None and claim[1] != keys.job_prefix
    }


def _claim(client: H2OClient, job: JobContext, key: str) -> None:
    sign = job.scratch / "claim"
    sign.write_bytes(b"1")
    client.upload(sign, key)


class _Waiting:
    """Says what a job waits for, and notices when it would wait for ever."""

    def __init__(self, client: H2OClient, job: JobContext, room: Room) -> None:
        self._client = client
        self._job = job
        self._room = room
        self._say_due = self._look_due = 0.0
        self._minded_at = time.monotonic()

    def wait(self) -> None:
        now = time.monotonic()
        if now >= self._say_due:
            self._say_due = now + SAY_AGAIN_SECONDS
            self._job.progress(0.0, f"Waiting for room in the cluster: the job takes {self._wanted()}.")
        if now >= self._look_due:
            self._look_due = now + _LOOK_AT_JOBS_SECONDS
            self._require_minders(now)
        self._job.wait(random.uniform(SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))  # noqa: S311

    def _wanted(self) -> str:
        outside = self._room.outside_bytes or 0
        more = f" and {-(-outside // _MB):,} MB outside of it" if outside else ""
        return f"{-(-self._room.heap_bytes // _MB):,} MB of its heap{more}, which other jobs hold"

    def _require_minders(self, now: float) -> None:
        if any(job["status"] not in TERMINAL for job in listed_jobs(self._client, JOB_PREFIX)):
            self._minded_at = now
        if now - self._minded_at > DESERTED_SECONDS:
            raise MemoryShort(
                "What other jobs left in the H2O cluster takes the room that this one needs, and nothing works on it; "
                "the job will be tried again after them."
            )
