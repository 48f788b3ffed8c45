"""Starts the JVM, announces the cluster once it is healthy, and starts it again when it dies."""

import fcntl
import logging
import os
import secrets
import socket
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import httpx

from workers.h2o_keeper import jvm
from workers.h2o_keeper.jvm import JvmSettings, KeeperError
from workers.h2o_keeper.layout import ClusterFile, Layout

log = logging.getLogger("turnout.h2o_keeper")

START_SECONDS = 180.0
STOP_SECONDS = 7.0
PORT_FREE_SECONDS = 5.0
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
ASK_EVERY_SECONDS = 10.0
# A cluster that trains on all cores may be slow to answer, but not this slow.
HANGS_AFTER_SECONDS = 120.0
# A JVM that served this long was sound, so its death doesn't lengthen the pause before the next start.
SOUND_SECONDS = 60.0


class Keeper:
    """Runs one cluster under ``home`` until ``stopping`` is set. Use it from the main thread: the JVM dies with it."""

    def __init__(self, home: Path, settings: JvmSettings, stopping: threading.Event) -> None:
        self._layout = Layout(home / "h2o")
        self._settings = settings
        self._stopping = stopping

    def run(self) -> None:
        """Keep a JVM running until told to stop. Raises ``KeeperError`` if none can ever start here."""
        self._layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._layout.lock_file.open("w") as lock:
            _take_lock(lock, self._layout.root)
            self._layout.withdraw()
            self._wait_for_ports()
            backoff = FIRST_BACKOFF_SECONDS
            while not self._stopping.is_set():
                began = time.monotonic()
                self._run_once()
                if time.monotonic() - began > SOUND_SECONDS:
                    backoff = FIRST_BACKOFF_SECONDS
                self._stopping.wait(backoff)
                backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)

    def _run_once(self) -> None:
        password = secrets.token_urlsafe(24)
        process = jvm.start(self._settings, self._layout, password)
        log.info("h2o_starting pid=%d port=%d", process.pid, self._settings.port)
        try:
            cluster = self._await_health(process, password)
            if cluster is not None:
                self._layout.announce(cluster)
                log.info("h2o_ready url=%s cluster_id=%s version=%s", cluster.url, cluster.cluster_id, cluster.version)
                self._await_end(process, cluster)
        finally:
            self._layout.withdraw()
            _stop(process)
        if not self._stopping.is_set():
            log.error("h2o_ended exit_code=%s output=%s", process.returncode, self._layout.output_file)

    def _await_health(self, process: subprocess.Popen[bytes], password: str) -> ClusterFile | None:
        """The cluster's data once it answers; None if the JVM ended, was too slow, or the keeper is to stop."""
        url = f"http://127.0.0.1:{self._settings.port}"
        deadline = time.monotonic() + START_SECONDS
        with httpx.Client(auth=(jvm.USER, password), timeout=5.0, trust_env=False) as client:
            while process.poll() is None and not self._stopping.is_set() and time.monotonic() < deadline:
                cluster = _ask(client, url, password, process.pid)
                if cluster is not None:
                    return replace(cluster, url=f"http://{self._settings.host}:{self._settings.port}")
                self._stopping.wait(0.2)
        return None

    def _await_end(self, process: subprocess.Popen[bytes], cluster: ClusterFile) -> None:
        """Return when the JVM has ended or hangs, or the keeper is to stop."""
        watch = HealthWatch(cluster)
        watch.start()
        try:
            while process.poll() is None and not watch.hangs() and not self._stopping.wait(0.2):
                pass
        finally:
            watch.stop()

    def _wait_for_ports(self) -> None:
        """A JVM that was killed a moment ago may still be giving its memory back, and holds its ports until then."""
        deadline = time.monotonic() + PORT_FREE_SECONDS
        for port in (self._settings.port, self._settings.port + 1):
            while not _is_free(port):
                if time.monotonic() > deadline:
                    raise KeeperError(
                        f"Port {port} is taken by another program; H2O needs {self._settings.port} and the port after "
                        "it: choose another with --port."
                    )
                if self._stopping.wait(0.1):
                    return


class HealthWatch:
    """Asks a cluster for a sign of life, from a thread of its own: an answer may take as long as it likes to fail."""

    def __init__(self, cluster: ClusterFile, patience_seconds: float = HANGS_AFTER_SECONDS) -> None:
        self._cluster = cluster
        self._patience_seconds = patience_seconds
        self._last_answer = time.monotonic()
        self._ended = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._loop, name="watch-health", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()

    def hangs(self) -> bool:
        """Whether the cluster has not been healthy for long, as when it is deadlocked or only collects garbage."""
        return time.monotonic() - self._last_answer > self._patience_seconds

    def _loop(self) -> None:
        cluster = self._cluster
        with httpx.Client(auth=(cluster.user, cluster.password), timeout=10.0, trust_env=False) as client:
            while not self._ended.wait(min(ASK_EVERY_SECONDS, self._patience_seconds / 3)):
                if _is_healthy(client, cluster):
                    self._last_answer = time.monotonic()


def _is_healthy(client: httpx.Client, cluster: ClusterFile) -> bool:
    try:
        answer = client.get(f"{cluster.url}/3/Cloud", params={"skip_ticks": "true"})
    except httpx.TransportError:
        return False
    if answer.status_code != 200:
        return False
    cloud = answer.json()
    return bool(cloud["cloud_healthy"] and cloud["consensus"])


def _ask(client: httpx.Client, url: str, password: str, pid: int) -> ClusterFile | None:
    try:
        answer = client.get(f"{url}/3/Cloud")
    except httpx.TransportError:
        return None
    if answer.status_code == 401:
        raise KeeperError(f"Another H2O answers at {url}; choose another port with --port.")
    if answer.status_code != 200:
        return None
    cloud = answer.json()
    if cloud["version"] != jvm.REQUIRED_VERSION:
        raise KeeperError(
            f"H2O {cloud['version']} is installed but Turnout needs {jvm.REQUIRED_VERSION} exactly: "
            f"pip install h2o=={jvm.REQUIRED_VERSION}."
        )
    if not (cloud["cloud_healthy"] and cloud["consensus"]):
        return None
    return ClusterFile(
        url=url,
        user=jvm.USER,
        password=password,
        cluster_id=answer.headers["X-h2o-cluster-id"],
        pid=pid,
        version=cloud["version"],
    )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
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


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
