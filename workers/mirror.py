"""How an attempt ended, in the words of Celery's events, for whatever listens to them. Flower shows them at once, then
looks the job up in SQL (``workers/flower_events.py``); other monitors have only them."""

from typing import Any

import structlog
from celery.exceptions import Ignore, Retry
from kombu.exceptions import OperationalError

from db.rows import JobRow
from db.states import State
from tasks.errors import JobError

log = structlog.get_logger()


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
    """Tells monitors of the jobs that a worker runs without a hint, with the events that Celery would have sent. They
    go through Celery's main thread and its buffer; what gets lost of them, Flower makes good for from SQL."""

    def __init__(self) -> None:
        self._consumer: Any = None

    def use(self, consumer: Any) -> None:
        """From when Celery's consumer is there."""
        self._consumer = consumer

    def started(self, job: JobRow) -> None:
        args = f"['{job.id}']"
        self._send("task-received", job, name=job.kind, args=args, kwargs="{}", retries=0, eta=None, expires=None)
        self._send("task-started", job)

    def ended(self, job: JobRow, state: State) -> None:
        match state:
            case State.SUCCEEDED:
                self._send("task-succeeded", job, result="None", runtime=0.0)
            case State.FAILED:
                self._send("task-failed", job, exception=_FAILED, traceback=None)
            case State.QUEUED | State.WAITING:
                self._send("task-retried", job, exception=_AGAIN, traceback=None)
            case State.CANCELLED:
                self._send("task-revoked", job, terminated=True, signum=None, expired=False)

    def _send(self, event: str, job: JobRow, **fields: Any) -> None:
        consumer = self._consumer
        if consumer is not None and consumer.event_dispatcher is not None:
            consumer.call_soon(consumer.event_dispatcher.send, event, uuid=job.id, **fields)


def _announce_cancel(task: Any) -> None:
    """Celery has no exception for it, so the event is sent by hand, past the worker's buffer for events."""
    try:
        task.send_event("task-revoked", terminated=True, signum=None, expired=False)
    except OperationalError as exc:
        log.warning("cancel_not_announced", job_id=task.request.id, why=str(exc))
