"""Gives up a cluster that leaked, while nobody uses it.

H2O keeps about 320 job objects and 500 keys of each AutoML of ten models for ever; only a new JVM is rid of them.
"""

import fcntl
import logging
import time
from dataclasses import dataclass

import httpx

from workers.h2o_keeper.cloud import Cloud, Door, ask
from workers.h2o_keeper.layout import Layout

log = logging.getLogger("turnout.h2o_keeper")

# About a hundred AutoMLs of ten models. Each clean-up reads the list of all H2O jobs, which is 23 MB by then.
DEFAULT_OBJECTS = 50_000
MOST_USED_SHARE = 0.5
AGAIN_AFTER_SECONDS = 5.0
# What a job left in the cluster is taken back by its next attempt or freed after its end, unless no worker is there.
LEFT_BEHIND_SECONDS = 600.0
_ANSWER_SECONDS = 30.0
_JOB_PREFIX = "job_"
_ENDED = frozenset({"DONE", "FAILED", "CANCELLED"})


@dataclass
class Recycler:
    """Decides when the cluster behind ``door`` is to be replaced for what it leaked: more than ``most_objects`` (0:
    they may be any number), or half of its heap.

    Whoever uses the cluster holds a shared lock on the layout's ``use_file`` before it reads where the cluster is. So
    once the exclusive lock is had and the cluster file is gone, nobody uses this cluster, and nobody will.
    """

    layout: Layout
    door: Door
    most_objects: int
    _not_before: float = 0.0
    _left: frozenset[str] = frozenset()
    _left_since: float = 0.0

    def is_due(self, cloud: Cloud | None) -> bool:
        """Whether the cluster seems to have leaked that much; a training may just as well be what fills it."""
        return cloud is not None and self._has_leaked(cloud) and time.monotonic() >= self._not_before

    def take_down(self) -> bool:
        """Withdraw the cluster if it has leaked and nobody uses it. Then nobody will, and its JVMs may be ended."""
        with self.layout.use_file.open("rb") as use:
            try:
                fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._not_before = time.monotonic() + AGAIN_AFTER_SECONDS
            with self.door.client(_ANSWER_SECONDS) as client:
                cloud = self._idle_cloud(client)
            if cloud is None:
                return False
            if not self._has_leaked(cloud):
                return False
            self.layout.withdraw()
            log.info("h2o_recycled objects=%d used_share=%.2f", cloud.objects, cloud.used_share)
            return True

    def _idle_cloud(self, client: httpx.Client) -> Cloud | None:
        """The cluster without its garbage; None while something in it is still of use."""
        try:
            if self._works(client) or self._is_needed(client):
                return None
            client.post("/3/GarbageCollect").raise_for_status()
        except httpx.HTTPError as exc:
            log.warning("h2o_not_recycled why=%s", type(exc).__name__)
            return None
        return ask(client)

    def _has_leaked(self, cloud: Cloud) -> bool:
        return 0 < self.most_objects < cloud.objects or cloud.used_share > MOST_USED_SHARE

    def _works(self, client: httpx.Client) -> bool:
        """An AutoML whose runner died goes on until a new attempt attaches to it."""
        jobs = client.get("/3/Jobs").raise_for_status().json()["jobs"]
        return any(job["status"] not in _ENDED for job in jobs)

    def _is_needed(self, client: httpx.Client) -> bool:
        frames = client.get("/3/Frames").raise_for_status().json()["frames"]
        names = (frame["frame_id"]["name"] for frame in frames)
        left = frozenset(name for name in names if name.startswith(_JOB_PREFIX))
        if left != self._left:
            self._left, self._left_since = left, time.monotonic()
        return bool(left) and time.monotonic() - self._left_since < LEFT_BEHIND_SECONDS
