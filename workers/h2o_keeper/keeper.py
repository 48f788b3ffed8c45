"""Starts the JVMs, announces the cluster once it is healthy, and starts all of it again when one of them dies."""

import fcntl
import logging
import os
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from enum import Enum, auto
from pathlib import Path
from typing import TextIO

from workers.h2o_keeper import jvm
from workers.h2o_keeper.cloud import Door, HealthWatch, ask
from workers.h2o_keeper.jvm import LOOPBACK, JvmSettings, KeeperError
from workers.h2o_keeper.layout import ClusterFile, Layout
from workers.h2o_keeper.recycling import Recycler
from workers.memory import available_bytes

log = logging.getLogger("turnout.h2o_keeper")

START_SECONDS = 180.0
STOP_SECONDS = 7.0
PORT_FREE_SECONDS = 5.0
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
LOOK_SECONDS = 0.2
# Between two jobs of a slot that has always work, nobody uses the cluster for no longer than this.
IDLE_LOOK_SECONDS = 0.02
# A cluster that served this long was sound, so its death doesn't lengthen the pause before the next start.
SOUND_SECONDS = 60.0

Process = subprocess.Popen[bytes]


class End(Enum):
    """Why a cluster's life is over. ``LOST``: one of its nodes died or hangs, and it can't go on without."""

    TOLD = auto()
    LOST = auto()
    RECYCLED = auto()


class Keeper:
    """Runs one cluster under ``home`` until ``stopping`` is set. Use it from the main thread: the JVMs die with it.

    A cluster that left more than ``recycle_after`` objects behind is replaced while nobody uses it.
    """

    def __init__(self, home: Path, settings: JvmSettings, stopping: threading.Event, recycle_after: int) -> None:
        self._layout = Layout(home / "h2o")
        self._settings = settings
        self._stopping = stopping
        self._recycle_after = recycle_after

    def run(self) -> None:
        """Keep a cluster running until told to stop. Raises ``KeeperError`` if none can ever start here."""
        self._layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._layout.lock_file.open("w") as lock:
            _take_lock(lock, self._layout.root)
            self._layout.withdraw()
            self._wait_for_ports()
            backoff = FIRST_BACKOFF_SECONDS
            while not self._stopping.is_set():
                began = time.monotonic()
                end = self._run_once()
                if end is End.RECYCLED or time.monotonic() - began > SOUND_SECONDS:
                    backoff = FIRST_BACKOFF_SECONDS
                self._stopping.wait(backoff)
                backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)

    def _run_once(self) -> End:
        password = secrets.token_urlsafe(24)
        # Before the JVMs take any of it.
        available = available_bytes()
        nodes = jvm.start(self._settings, self._layout, password)
        log.info("h2o_starting pids=%s port=%d", [node.pid for node in nodes], self._settings.port)
        doors = [
            Door(f"http://{LOOPBACK}:{self._settings.rest_port(number)}", jvm.USER, password)
            for number in range(1, len(nodes) + 1)
        ]
        end = End.LOST
        try:
            cluster = self._await_health(nodes, doors, available)
            if cluster is not None:
                self._layout.announce(cluster)
                log.info("h2o_ready url=%s cluster_id=%s version=%s", cluster.url, cluster.cluster_id, cluster.version)
                end = self._await_end(nodes, doors)
        finally:
            self._layout.withdraw()
            # Nothing is left to save in a cluster that lost a node, and jobs wait for the next one.
            _end(nodes, STOP_SECONDS if end is not End.LOST or self._stopping.is_set() else 0)
        if end is End.LOST and not self._stopping.is_set():
            codes = [node.returncode for node in nodes]
            log.error("h2o_ended exit_codes=%s output=%s", codes, self._layout.node(1).output_file.parent)
        return end

    def _await_health(
        self, nodes: Sequence[Process], doors: Sequence[Door], available: int | None
    ) -> ClusterFile | None:
        """The cluster's data once every node answers and sees all the others; None if one ended, they were too slow, or
        the keeper is to stop."""
        deadline = time.monotonic() + START_SECONDS
        while _all_live(nodes) and not self._stopping.is_set() and time.monotonic() < deadline:
            cluster = self._ready(nodes, doors, available)
            if cluster is not None:
                return cluster
            self._stopping.wait(LOOK_SECONDS)
        return None

    def _ready(self, nodes: Sequence[Process], doors: Sequence[Door], available: int | None) -> ClusterFile | None:
        clouds = []
        for door in doors:
            with door.client(5.0) as client:
                cloud = ask(client)
            if cloud is None or not cloud.healthy or cloud.size != len(nodes):
                return None
            clouds.append(cloud)
        heaps = self._settings.heap_mb << 20
        return ClusterFile(
            url=f"http://{self._settings.host}:{self._settings.port}",
            user=jvm.USER,
            password=doors[0].password,
            cluster_id=clouds[0].cluster_id,
            pids=tuple(node.pid for node in nodes),
            version=clouds[0].version,
            outside_bytes=None if available is None else max(0, available - heaps),
        )

    def _await_end(self, nodes: Sequence[Process], doors: Sequence[Door]) -> End:
        """Return when a node has ended or hangs, the cluster is to be recycled, or the keeper is to stop."""
        watches = [HealthWatch(door) for door in doors]
        recycler = Recycler(self._layout, doors[0], self._recycle_after)
        for watch in watches:
            watch.start()
        try:
            while _all_live(nodes) and not any(watch.hangs() for watch in watches):
                due = recycler.is_due(watches[0].cloud)
                if due and recycler.take_down():
                    return End.RECYCLED
                if self._stopping.wait(IDLE_LOOK_SECONDS if due else LOOK_SECONDS):
                    return End.TOLD
            return End.LOST
        finally:
            for watch in watches:
                watch.stop()

    def _wait_for_ports(self) -> None:
        """A JVM that was killed a moment ago may still be giving its memory back, and holds its ports until then."""
        deadline = time.monotonic() + PORT_FREE_SECONDS
        ports = self._settings.ports
        for port in ports:
            while not _is_free(port):
                if time.monotonic() > deadline:
                    raise KeeperError(
                        f"Port {port} is taken by another program; H2O needs {ports[0]} to {ports[-1]}: "
                        "choose others with --port."
                    )
                if self._stopping.wait(0.1):
                    return


def _all_live(nodes: Sequence[Process]) -> bool:
    return all(node.poll() is None for node in nodes)


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _take_lock(lock: TextIO, root: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        raise KeeperError(f"Another h2o_keeper already runs in {root}; stop it or choose another --home.") from exc
    lock.write(str(os.getpid()))
    lock.flush()


def _end(nodes: Sequence[Process], seconds: float) -> None:
    """SIGTERM to all nodes, SIGKILL after so many seconds; returns when all are dead."""
    for node in nodes:
        node.terminate()
    deadline = time.monotonic() + seconds
    for node in nodes:
        try:
            node.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            node.kill()
    for node in nodes:
        node.wait()
