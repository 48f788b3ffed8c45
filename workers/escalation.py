"""Bringing a runner to an end: it is asked, then terminated, then killed."""

import time
from datetime import timedelta
from typing import Protocol

import structlog

from workers.endings import Why

log = structlog.get_logger()

# With what it takes to notice a cancel, a runner that ignores SIGTERM is gone two seconds after the grace period.
_KILL_AFTER_TERM_SECONDS = 1.5
# A stop keeps the best so far, which may have to be explained and saved first.
_STOP_GRACE = timedelta(minutes=10)


class Endable(Protocol):
    """What is brought to an end."""

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class Escalation:
    """What is planned for the runner of one attempt, and why. The caller does the asking."""

    def __init__(self, runner: Endable, grace: timedelta, job_id: str) -> None:
        self._runner = runner
        self._grace = grace
        self._job_id = job_id
        self._plan: list[tuple[float, str]] = []
        self.why: Why | None = None

    def begin(self, why: Why, mode: str | None) -> None:
        """Plan what follows if the runner does not end. The first cause wins, but nothing waits for the long grace of
        a stop: neither a cancel nor a worker that shuts down, whose job's next attempt keeps the best."""
        sooner = why is Why.SHUTDOWN or mode == "cancel"
        if self.why is not None and not (self.why is Why.ASKED and sooner):
            return
        grace = (_STOP_GRACE if mode == "stop" else self._grace).total_seconds()
        terminate_at = time.monotonic() + grace
        if self._plan and self._plan[0][0] <= terminate_at:
            return
        self.why = why
        self._plan = [(terminate_at, "terminate"), (terminate_at + _KILL_AFTER_TERM_SECONDS, "kill")]

    def go_on(self) -> None:
        """Do what is due."""
        while self._plan and time.monotonic() > self._plan[0][0]:
            _, step = self._plan.pop(0)
            log.info("runner_" + step, job_id=self._job_id)
            if self.why is Why.ASKED:
                self.why = Why.FORCED
            self._runner.terminate() if step == "terminate" else self._runner.kill()
