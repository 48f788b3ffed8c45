"""What Flower shows of a job: where SQL says that it stands, in Celery's words."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from celery import states
from flower.events import EventsState

from db.standings import Standing
from db.states import State

# Stands in for the client's host in Celery's event of a message that was sent.
_CLIENT = "turnout"


def celery_states(job: Standing) -> tuple[str, ...]:
    """Celery's words for where the job stands; the first is the one to choose. ``RECEIVED`` says too that a worker has
    its hint, which SQL doesn't know."""
    match job.state:
        case State.WAITING | State.QUEUED:
            return (states.RETRY if job.attempt else states.PENDING, states.RECEIVED)
        case State.RUNNING:
            return (states.STARTED,)
        case State.SUCCEEDED:
            return (states.SUCCESS,)
        case State.FAILED:
            return (states.FAILURE,)
        case State.CANCELLED:
            return (states.REVOKED,)


def show(state: EventsState, job: Standing, tick: Callable[[], int]) -> None:
    """Have Flower show the job as it stands, whatever events came, in whatever order, or got lost. ``tick`` moves
    Celery's logical clock on."""
    task = state.tasks.get(job.job_id)
    if task is None or task.name is None:
        state.event(_sent(job, tick()))
        task = state.tasks[job.job_id]
    fitting = celery_states(job)
    vars(task).update(_fields(job), state=task.state if task.state in fitting else fitting[0])
    if task.received is None:
        # The page of tasks is sorted by it, and would hide at its end what no worker has received yet.
        task.received = task.sent
    if job.worker is not None:
        task.worker, _ = state.get_or_create_worker(job.worker)
    state.search_engine.upsert(task)


def forget(state: EventsState, job_id: str) -> None:
    """Show a task no more that is no job: a hint named something that doesn't exist."""
    state.tasks.pop(job_id, None)
    state.search_engine.remove(job_id)


def _sent(job: Standing, clock: int) -> dict[str, Any]:
    """The event that a Celery client sends with a message."""
    return {
        "type": "task-sent",
        "uuid": job.job_id,
        "name": job.kind,
        "args": f"['{job.job_id}']",
        "kwargs": "{}",
        "hostname": _CLIENT,
        "timestamp": _moment(job.queued_at),
        "local_received": time.time(),
        "clock": clock,
    }


def _fields(job: Standing) -> dict[str, Any]:
    runtime = None
    if job.state.is_final and job.started_at is not None and job.ended_at is not None:
        runtime = (job.ended_at - job.started_at).total_seconds()
    return {
        "retries": max(job.attempt - 1, 0),
        "exception": job.message,
        # Stacks name the server's paths and are of no use to whoever submitted the job.
        "traceback": None,
        "timestamp": _moment(job.finished_at or job.started_at or job.queued_at),
        "started": _moment(job.started_at),
        "runtime": runtime,
        "succeeded": _moment(job.finished_at) if job.state is State.SUCCEEDED else None,
        "failed": _moment(job.finished_at) if job.state is State.FAILED else None,
        "revoked": _moment(job.finished_at) if job.state is State.CANCELLED else None,
    }


def _moment(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
