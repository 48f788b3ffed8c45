"""How an attempt ended, in the words of Celery's events, for whatever listens to them. Flower shows them at once, then
looks the job up in SQL (``workers/flower_events.py``); other monitors have only them."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from celery.exceptions import Ignore, Retry
from kombu.exceptions import OperationalError

from db.rows import JobRow
from db.states import State
from tasks.errors import JobError

log = structlog.get_logger()


Event = tuple[str, Mapping[str, Any]]

_EVERY_SECONDS, _LONGEST_SECONDS = 0.2, 2.0
_MOST_WAITING = 10_000
_FAILED = "The job failed; its own record says why."
_AGAIN = "The job will run again."


class JobFailed(JobError):
    """The job is final and failed; raised so that Celery sends the event of a failure."""


def mirror(task: Any, state: State | None) -> None:
    """End the Celery task as the attempt ended. It returns for success and raises ``JobFailed`` for failure, ``Retry``
    when the job will run again, and ``Ignore`` for a cancelled job and for a hint that claimed nothing (None), which
    else would look like a success."""
    match state:
        case State.SUCCEEDED:
            return
        case State.FAILED:
            raise JobFailed(_FAILED)
        case State.QUEUED | State.WAITING:
            raise Retry(_AGAIN)
        case State.CANCELLED:
            _announce_cancel(task)
    raise Ignore


class Announcer:
    """Tells monitors of the jobs that a worker runs outside of Celery's tasks, with the events that Celery would have
    sent. They go through Celery's main thread and its buffer; what gets lost of them, Flower makes good for from
    SQL."""

    def __init__(self) -> None:
        self._consumer: Any = None
        self._lock = threading.Lock()
        self._waiting: list[Event] = []
        self._due_until = 0.0

    def use(self, consumer: Any) -> None:
        """From when Celery's consumer is there."""
        self._consumer = consumer

    def send(self, events: Sequence[Event]) -> None:
        """Returns at once. Many together cost Celery about as much as one, so they go out several times a second."""
        if self._consumer is None:
            return
        now = time.monotonic()
        with self._lock:
            self._waiting = [*self._waiting, *events][-_MOST_WAITING:]
            # Celery's loop may lose a call, when another one fails.
            is_due = now < self._due_until
            if not is_due:
                self._due_until = now + _LONGEST_SECONDS
        if not is_due:
            self._consumer.call_soon(self._consumer.timer.call_after, _EVERY_SECONDS, self._dispatch)

    def _dispatch(self) -> None:
        with self._lock:
            events, self._waiting, self._due_until = self._waiting, [], 0.0
        dispatcher = self._consumer.event_dispatcher
        if dispatcher is None:
            return
        try:
            for name, fields in events:
                dispatcher.send(name, **fields)
        except OperationalError as exc:
            log.warning("jobs_not_announced", events=len(events), why=str(exc))


def told_started(job: JobRow) -> list[Event]:
    """That a worker has the job, and runs it."""
    received = {"name": job.kind, "args": f"['{job.id}']", "kwargs": "{}", "retries": 0, "eta": None, "expires": None}
    return [("task-received", {"uuid": job.id, **received}), ("task-started", {"uuid": job.id})]


def told_ended(job: JobRow, state: State) -> Event:
    """How the job's attempt ended."""
    match state:
        case State.SUCCEEDED:
            return "task-succeeded", {"uuid": job.id, "result": "None", "runtime": 0.0}
        case State.FAILED:
            return "task-failed", {"uuid": job.id, "exception": _FAILED, "traceback": None}
        case State.CANCELLED:
            return "task-revoked", {"uuid": job.id, "terminated": True, "signum": None, "expired": False}
        case _:
            return "task-retried", {"uuid": job.id, "exception": _AGAIN, "traceback": None}


def _announce_cancel(task: Any) -> None:
    """Celery has no exception for it, so the event is sent by hand, past the worker's buffer for events."""
    try:
        task.send_event("task-revoked", terminated=True, signum=None, expired=False)
    except OperationalError as exc:
        log.warning("cancel_not_announced", job_id=task.request.id, why=str(exc))
