"""The processes of a stack: started, watched, restarted with growing pauses, and ended."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_SOUND_AFTER_SECONDS = 30.0
_LOG_LIMIT_BYTES = 10 << 20


@dataclass
class Child:
    """One process: its command and environment, and since when it runs."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log_file: Path
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    restart_at: float | None = field(default=None)

    def last_log_lines(self, count: int = 15) -> str:
        lines = self.log_file.read_text(errors="replace").splitlines()
        return "\n".join(lines[-count:])


class Children:
    """Starts and restarts processes from one thread that lives as long as this process, for the kernel kills each child
    when the thread that started it ends. That is also what leaves nothing behind when this process is killed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._children: list[Child] = []
        self._requests: queue.SimpleQueue[tuple[Child, threading.Event]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        threading.Thread(target=self._mind, name="mind-children", daemon=True).start()

    def start(self, child: Child) -> None:
        """Start a process and keep it running from now on."""
        started = threading.Event()
        self._requests.put((child, started))
        started.wait()

    def stop(self, names: Sequence[str], seconds: float) -> None:
        """End these processes: SIGTERM to all, SIGKILL after so many seconds. They are not restarted."""
        chosen = [child for child in self._children if child.name in names]
        for child in chosen:
            self._children.remove(child)
            _signal(child, signal.SIGTERM)
        give_up_at = time.monotonic() + seconds
        for child in chosen:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.0, give_up_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(child, signal.SIGKILL)
                child.process.wait()

    def stop_rest(self, seconds: float) -> None:
        self._stopping.set()
        self.stop([child.name for child in self._children], seconds)

    def _mind(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(queue.Empty):
                child, started = self._requests.get(timeout=0.1)
                self._children.append(child)
                self._spawn(child)
                started.set()
            for child in list(self._children):
                self._look_after(child)

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.restart_at is not None:
            if now >= child.restart_at and child in self._children and not self._stopping.is_set():
                self._spawn(child)
        elif child.process is not None and child.process.poll() is not None:
            sound = now - child.started_at > _SOUND_AFTER_SECONDS
            child.failures = 1 if sound else child.failures + 1
            pause = min(_FIRST_PAUSE_SECONDS * 2 ** (child.failures - 1), _LONGEST_PAUSE_SECONDS)
            child.restart_at = now + pause

    def _spawn(self, child: Child) -> None:
        if child.log_file.exists() and child.log_file.stat().st_size > _LOG_LIMIT_BYTES:
            child.log_file.rename(child.log_file.with_suffix(".log.1"))
        tether = [sys.executable, "-P", "-m", "workers.tether", str(os.getpid())]
        with child.log_file.open("ab") as log:
            child.process = subprocess.Popen(
                [*tether, *child.command],
                env=dict(child.environment),
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal reaches this process only, which then ends the others in order.
                start_new_session=True,
            )
        child.started_at = time.monotonic()
        child.restart_at = None


def _signal(child: Child, number: signal.Signals) -> None:
    if child.process is not None and child.process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            child.process.send_signal(number)
