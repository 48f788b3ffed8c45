"""How an attempt ended, in the words of Celery's events, for whatever listens to them. Flower shows them at once, then
looks the job up in SQL (``workers/flower_events.py``); other monitors have only them."""

from typing import Any

import structlog
from celery.exceptions import Ignore, Retry
from kombu.exceptions import OperationalError

from db.states import State
from tasks.errors import JobError

log = structlog.get_logger()


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
            raise JobFailed("The job failed; its own record says why.")
        case State.QUEUED | State.WAITING:
            raise Retry("The job will run again.")
        case State.CANCELLED:
            _announce_cancel(task)
    raise Ignore


def _announce_cancel(task: Any) -> None:
    """Celery has no exception for it, so the event is sent by hand, past the worker's buffer for events."""
    try:
        task.send_event("task-revoked", terminated=True, signum=None, expired=False)
    except OperationalError as exc:
        log.warning("cancel_not_announced", job_id=task.request.id, why=str(exc))
