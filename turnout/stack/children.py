"""The processes of a stack: started, watched, restarted with growing pauses, and ended."""

import contextlib
import logging
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

from turnout.stack.errors import StackError

log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_DOUBLINGS = 6
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
    restart_at: float | None = None

    def last_log_lines(self, count: int = 15) -> str:
        try:
            lines = self.log_file.read_text(errors="replace").splitlines()
        except OSError as exc:
            return f"It can't be read: {exc.strerror}."
        return "\n".join(lines[-count:])


@dataclass
class _Request:
    child: Child
    done: threading.Event = field(default_factory=threading.Event)
    error: OSError | None = None


class Children:
    """Starts and restarts processes from one thread that outlives them all, for the kernel kills each child when the
    thread that started it ends. That is also what leaves nothing behind when this process is killed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._children: list[Child] = []
        self._requests: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        # Held while processes are started and while they are taken from the list, so that none of these comes back.
        self._lock = threading.Lock()
        self._stopping = False
        self._all_ended = threading.Event()
        threading.Thread(target=self._mind, name="mind-children", daemon=True).start()

    def start(self, child: Child) -> None:
        """Start a process and keep it running from now on, unless all are being ended. Raises ``StackError`` if there
        can be no process."""
        request = _Request(child)
        self._requests.put(request)
        while not request.done.wait(0.1) and not self._all_ended.is_set():
            pass
        if request.error is not None:
            raise StackError(f"{child.name} can't be started: {request.error}") from request.error

    def stop(self, names: Sequence[str], seconds: float) -> None:
        """End these processes: SIGTERM to all, SIGKILL after so many seconds. They are not restarted."""
        with self._lock:
            chosen = [child for child in self._children if child.name in names]
            self._children = [child for child in self._children if child not in chosen]
        for child in chosen:
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
        """End all that still run. Nothing is started any more."""
        with self._lock:
            self._stopping = True
        self.stop([child.name for child in self._children], seconds)
        self._all_ended.set()

    def _mind(self) -> None:
        try:
            while not self._all_ended.is_set():
                with contextlib.suppress(queue.Empty):
                    self._answer(self._requests.get(timeout=0.1))
                for child in list(self._children):
                    self._look_after(child)
        except BaseException:
            # The kernel kills every child with this thread, and a stack without them must not seem to live.
            log.critical("The thread that minds the processes broke; everything ends.", exc_info=True)
            os._exit(os.EX_SOFTWARE)

    def _answer(self, request: _Request) -> None:
        try:
            with self._lock:
                if not self._stopping:
                    self._spawn(request.child)
                    self._children.append(request.child)
        except OSError as exc:
            request.error = exc
        request.done.set()

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.restart_at is not None:
            if now >= child.restart_at:
                self._restart(child)
        elif child.process is not None and child.process.poll() is not None:
            _note_failure(child, sound=now - child.started_at > _SOUND_AFTER_SECONDS)

    def _restart(self, child: Child) -> None:
        try:
            with self._lock:
                if child in self._children and not self._stopping:
                    self._spawn(child)
        except OSError as exc:
            # Its own log may be what can't be written.
            log.warning("%s can't be started: %s. It is tried again.", child.name, exc)
            _note_failure(child, sound=False)

    def _spawn(self, child: Child) -> None:
        """Raises ``OSError``: no memory for a process, a log that can't be written."""
        if child.log_file.exists() and child.log_file.stat().st_size > _LOG_LIMIT_BYTES:
            child.log_file.rename(child.log_file.with_suffix(".log.1"))
        tether = [sys.executable, "-P", "-m", "workers.tether", str(os.getpid())]
        with child.log_file.open("ab") as output:
            child.process = subprocess.Popen(
                [*tether, *child.command],
                env=dict(child.environment),
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C in a terminal reaches this process only, which then ends the others in order.
                start_new_session=True,
                umask=0o077,
            )
        child.started_at = time.monotonic()
        child.restart_at = None


def _note_failure(child: Child, *, sound: bool) -> None:
    """A process that ran soundly before starts anew with the shortest pause."""
    child.failures = 1 if sound else child.failures + 1
    pause = _FIRST_PAUSE_SECONDS * 2 ** min(child.failures - 1, _DOUBLINGS)
    child.restart_at = time.monotonic() + min(pause, _LONGEST_PAUSE_SECONDS)


def _signal(child: Child, number: signal.Signals) -> None:
    if child.process is not None and child.process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            child.process.send_signal(number)
