"""What a node says of its cluster, and a watch that asks it."""

import threading
import time
from dataclasses import dataclass

import httpx

from workers.h2o_keeper import jvm
from workers.h2o_keeper.jvm import KeeperError

ASK_EVERY_SECONDS = 10.0
# A cluster that trains on all cores may be slow to answer, but not this slow.
HANGS_AFTER_SECONDS = 120.0
# H2O calls a cluster unhealthy once it has missed a node for a minute. It may have been a long pause, but not twice.
_UNHEALTHY_ANSWERS = 2


@dataclass(frozen=True)
class Door:
    """Where one node's REST interface is, and the login to it."""

    url: str
    user: str
    password: str

    def client(self, timeout_seconds: float) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, auth=(self.user, self.password), timeout=timeout_seconds, trust_env=False
        )


@dataclass(frozen=True)
class Cloud:
    """A node's view. ``objects`` are the keys in all nodes' stores; ``used_share`` is the part of all heaps that was in
    use after the garbage was last collected, 0 to 1."""

    cluster_id: str
    version: str
    size: int
    healthy: bool
    objects: int
    used_share: float


def ask(client: httpx.Client) -> Cloud | None:
    """The cluster as this node sees it; None without an answer. Raises ``KeeperError`` if it is not ours."""
    try:
        answer = client.get("/3/Cloud", params={"skip_ticks": "true"})
    except httpx.TransportError:
        return None
    if answer.status_code == 401:
        raise KeeperError(f"Another H2O answers at {client.base_url}; choose another port with --port.")
    if answer.status_code != 200:
        return None
    cloud = answer.json()
    if cloud["version"] != jvm.REQUIRED_VERSION:
        raise KeeperError(
            f"H2O {cloud['version']} is installed but Turnout needs {jvm.REQUIRED_VERSION} exactly: "
            f"pip install h2o=={jvm.REQUIRED_VERSION}."
        )
    heap = sum(node["max_mem"] for node in cloud["nodes"])
    free = sum(node["free_mem"] for node in cloud["nodes"])
    return Cloud(
        cluster_id=answer.headers["X-h2o-cluster-id"],
        version=cloud["version"],
        size=cloud["cloud_size"],
        healthy=bool(cloud["cloud_healthy"] and cloud["consensus"] and not cloud["bad_nodes"]),
        objects=sum(node["num_keys"] for node in cloud["nodes"]),
        used_share=1 - free / heap if heap else 0.0,
    )


class HealthWatch:
    """Asks a node for a sign of life, from a thread of its own: an answer may take as long as it likes to fail."""

    def __init__(self, door: Door, patience_seconds: float = HANGS_AFTER_SECONDS) -> None:
        self._door = door
        self._patience_seconds = patience_seconds
        self._last_answer = time.monotonic()
        self._unhealthy = 0
        self._cloud: Cloud | None = None
        self._ended = threading.Event()

    @property
    def cloud(self) -> Cloud | None:
        """What the node said last."""
        return self._cloud

    def start(self) -> None:
        threading.Thread(target=self._loop, name="watch-health", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()

    def hangs(self) -> bool:
        """Whether the node has not answered for long, as when it is deadlocked or only collects garbage, or misses
        another one."""
        silent = time.monotonic() - self._last_answer > self._patience_seconds
        return silent or self._unhealthy >= _UNHEALTHY_ANSWERS

    def _loop(self) -> None:
        with self._door.client(ASK_EVERY_SECONDS) as client:
            while not self._ended.wait(min(ASK_EVERY_SECONDS, self._patience_seconds / 3)):
                cloud = ask(client)
                if cloud is None:
                    continue
                self._cloud = cloud
                self._last_answer = time.monotonic()
                self._unhealthy = 0 if cloud.healthy else self._unhealthy + 1
