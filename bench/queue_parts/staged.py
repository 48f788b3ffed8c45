"""Runs one of Turnout's processes with its stages timed, and writes the sums down when it ends.

``python -P -m bench.queue_parts.staged OUT (api | workers) [arguments…]``. What a stage calls that is a stage itself
counts there only. Timing has a cost of its own, a few microseconds a call.
"""

import importlib
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

_HTTP = {
    "validate": ("api.submission_bodies.SubmissionBodies.validate",),
    "write the group": ("api.committer.submit_group",),
    "why it waits": ("api.waiting.kinds_taken",),
    "mark hints": ("api.committer.next_hints", "api.hinter.next_hints"),
    "send hints": ("tasks.hints.HintSender.send",),
    "view": ("api.routes.submissions.new_job_json",),
    "log line": ("structlog.processors.LogfmtRenderer.__call__",),
}
_JOBS = {
    "look for the next": ("workers.streak.unhinted",),
    "claim": ("workers.streak.claim",),
    "order": ("workers.execution.Execution._order",),
    "read reports": ("workers.runner_process.checked", "workers.execution.Execution.success"),
    "finish": ("workers.streak.succeed_all",),
    "refill": ("workers.refill.next_hints",),
    "send hints": ("tasks.hints.HintSender.send",),
    "announce": ("workers.mirror.Announcer._dispatch",),
}
STAGES: Mapping[str, Mapping[str, tuple[str, ...]]] = {"api": _HTTP, "workers": _JOBS}
COMMIT = "commit"


class Stages:
    """Sums for each stage: calls, seconds and processor seconds of its own."""

    def __init__(self) -> None:
        self._sums: dict[str, list[float]] = {}
        self._lock = threading.Lock()
        self._open = threading.local()

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timing(*arguments: Any, **keywords: Any) -> Any:
            below: list[list[float]] = self._open.__dict__.setdefault("below", [])
            below.append([0.0, 0.0])
            wall, cpu = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments, **keywords)
            finally:
                wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
                inner = below.pop()
                if below:
                    below[-1][0] += wall
                    below[-1][1] += cpu
                with self._lock:
                    sums = self._sums.setdefault(stage, [0.0, 0.0, 0.0])
                    for place, value in enumerate((1.0, wall - inner[0], cpu - inner[1])):
                        sums[place] += value

        return timing

    def write(self, out: Path) -> None:
        with self._lock:
            out.write_text(json.dumps(self._sums))


def main() -> None:
    out, module, *arguments = sys.argv[1:]
    process = importlib.import_module(f"{module}.__main__")
    stages = Stages()
    for stage, places in STAGES[module].items():
        for place in places:
            owner, name = _owner(place)
            setattr(owner, name, stages.timed(stage, getattr(owner, name)))
    DefaultDialect.do_commit = stages.timed(COMMIT, DefaultDialect.do_commit)  # type: ignore[method-assign]
    if module == "workers":
        # It ends without Python's own goodbye.
        ends = process.end_process

        def end(code: int) -> None:
            stages.write(Path(out))
            ends(code)

        process.end_process = end
    else:
        # The server hands the signal on when it has ended.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.argv = [module, *arguments]
    try:
        process.main()
    finally:
        stages.write(Path(out))


def _owner(place: str) -> tuple[Any, str]:
    """Where a name is looked up, as ``module.Class.name`` or ``module.name``."""
    path, _, name = place.rpartition(".")
    try:
        return importlib.import_module(path), name
    except ModuleNotFoundError:
        owner, _, inner = path.rpartition(".")
        return getattr(importlib.import_module(owner), inner), name


if __name__ == "__main__":
    main()
