"""What should become of jobs: the lease protocol once more, told without SQL, processes or races."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from db.claims import LEASE, Token
from db.finish import MAX_LOSSES
from db.states import FINAL_STATES

DISCARDING = ("cancel", "deadline")


@dataclass
class Job:
    """A job as it should be. Every field but ``after``, ``outcomes`` and ``events`` is the column of the same name."""

    id: str
    kind: str
    max_attempts: int
    precedence: int
    after: list[str]
    run_at: datetime | None
    deadline_at: datetime | None
    state: str = ""
    reason: str | None = None
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    worker_id: str | None = None
    lease_expires_at: datetime | None = None
    hinted_at: datetime | None = None
    stop_request: str | None = None
    checkpoint: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    outcomes: list[tuple[str, str | None]] = field(default_factory=list)
    events: list[tuple[str, int, str | None]] = field(default_factory=list)

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    def become(self, state: str, reason: str | None = None) -> None:
        self.state, self.reason = state, reason
        self.hinted_at = self.lease_expires_at = None
        self.events.append(("state", self.attempt, state))
        if self.is_final:
            self.events.append(("final", self.attempt, state))

    def claimed(self, worker_id: str, now: datetime) -> None:
        self.attempt += 1
        self.become("running")
        self.worker_id, self.lease_expires_at = worker_id, now + LEASE
        self.outcomes.append(("running", None))

    def succeeded(self, result: dict[str, Any]) -> None:
        if not self._discarded():
            reason = "stopped_by_user" if self.stop_request == "stop" else "completed"
            self.result = result
            self._close("succeeded", reason)
            self.become("succeeded", reason)

    def failed(self, reason: str, now: datetime, *, retryable: bool, pause: float | None = None) -> None:
        if self._discarded():
            return
        self._close("failed", reason)
        self.failures += 1
        if not retryable:
            self.become("failed", reason)
        elif self.failures >= self.max_attempts:
            self.become("failed", reason if self.max_attempts == 1 else "retries_exhausted")
        else:
            self._again(reason, now, pause or 2**self.failures)

    def lost(self, reason: str, now: datetime) -> None:
        if self._discarded():
            return
        self._close("lost", reason)
        self.losses += 1
        if self.losses == MAX_LOSSES:
            self.become("failed", reason)
        else:
            self._again(reason, now, None if reason == "worker_lost" else 2**self.losses)

    def handed_back(self, now: datetime) -> None:
        if not self._discarded():
            self._close("handed_back", None)
            self._again(None, now, None)

    def ended_as_asked(self) -> None:
        """Whatever was asked for; the attempt has nothing to keep."""
        state = "failed" if self.stop_request == "deadline" else "cancelled"
        reasons = {"cancel": "cancelled_by_user", "stop": "stopped_by_user", "deadline": "deadline_exceeded"}
        reason = reasons[self.stop_request or ""]
        self._close(state, reason)
        self.become(state, reason)

    def asked(self, request: str) -> None:
        """Of a job that is not final."""
        if self.state == "running":
            if self.stop_request is None or request == "cancel":
                self.stop_request = request
        elif request == "deadline":
            self.become("failed", "deadline_exceeded")
        elif request == "stop" and (self.checkpoint is not None or self.stop_request == "stop"):
            self.stop_request = "stop"
        else:
            self.become("cancelled", "stopped_by_user" if request == "stop" else "cancelled_by_user")

    def _discarded(self) -> bool:
        if self.stop_request in DISCARDING:
            self.ended_as_asked()
            return True
        return False

    def _close(self, outcome: str, reason: str | None) -> None:
        assert self.outcomes[-1] == ("running", None)
        self.outcomes[-1] = outcome, reason

    def _again(self, reason: str | None, now: datetime, pause: float | None) -> None:
        self.become("queued" if pause is None else "waiting", reason)
        self.run_at = None if pause is None else now + timedelta(seconds=pause)
        self.worker_id = None


class Jobs:
    """All accepted jobs, and what the janitor does with them."""

    def __init__(self) -> None:
        self.by_id: dict[str, Job] = {}

    def all(self) -> list[Job]:
        return list(self.by_id.values())

    def in_state(self, state: str) -> list[Job]:
        return [job for job in self.all() if job.state == state]

    def claimable(self, now: datetime) -> list[Job]:
        """What is late never starts."""
        return [job for job in self.in_state("queued") if job.deadline_at is None or job.deadline_at > now]

    def accepted(self, job: Job) -> None:
        waits = job.run_at is not None or any(self.by_id[one].state != "succeeded" for one in job.after)
        job.become("waiting" if waits else "queued")
        self.by_id[job.id] = job

    def settle(self, now: datetime) -> None:
        """Those that wait for a job that did not succeed fail; the due ones are queued."""
        states = {job.id: job.state for job in self.all()}
        for job in self.in_state("waiting"):
            if any(states[one] in ("failed", "cancelled") for one in job.after):
                job.become("failed", "dependency_failed")
        for job in self.in_state("waiting"):
            due = job.run_at is None or job.run_at <= now
            if due and all(states[one] == "succeeded" for one in job.after):
                job.become("queued", job.reason)

    def lapsed(self, now: datetime) -> list[Job]:
        running = self.in_state("running")
        return [job for job in running if job.lease_expires_at is not None and job.lease_expires_at < now]

    def overdue(self, now: datetime) -> list[Job]:
        return [
            job
            for job in self.all()
            if job.deadline_at is not None
            and job.deadline_at < now
            and not job.is_final
            and not (job.state == "running" and job.stop_request is not None)
        ]


@dataclass
class Worker:
    """A worker process that has not said that it stops, and the attempts that it believes it runs."""

    id: str
    kinds: list[str]
    last_seen_at: datetime
    slots: int = 1
    held: list[Token] = field(default_factory=list)
    is_dead: bool = False
