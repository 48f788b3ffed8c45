"""What a response says about a job."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json
from sqlalchemy.orm import Session

from api.waiting import Waits
from api.webhooks import WebhookView, webhook_view
from db.group import Queued
from db.jobs import links
from db.rows import JobRow
from db.states import State
from db.submit import NewJob
from db.webhooks import webhooks_of


class ProgressView(BaseModel):
    """How far a job is; ``fraction`` 0..1, null where it can't be known."""

    fraction: float | None
    message: str | None
    eta_seconds: float | None


class MetricsView(BaseModel):
    """What a job cost; null where it was not measured.

    For one that is computed in batches: how many inputs its batches had on average, other jobs' included, which share
    was padding, how long its first input waited for the device, and its share of the device's time; how many models it
    had to load and found loaded, and how many bytes they take.
    """

    queue_seconds: float | None
    load_seconds: float | None
    run_seconds: float | None
    batch_size: int | None
    padding_share: float | None
    batch_wait_seconds: float | None
    device_seconds: float | None
    model_loads: int | None
    model_hits: int | None
    model_bytes: int | None
    peak_memory_bytes: int | None


class JobView(BaseModel):
    """A job, as every call shows it."""

    id: str
    kind: str
    state: str
    reason: str | None
    queue: str
    priority: int
    spec: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    progress: ProgressView
    attempt: int
    max_attempts: int
    worker: str | None
    created_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    run_at: datetime | None
    after: list[str]
    tags: dict[str, str]
    metrics: MetricsView
    waiting_for: str | None
    retry_of: str | None
    webhook: WebhookView | None


class JobPage(BaseModel):
    """Some jobs, newest first; ``next_cursor`` continues, null at the end."""

    jobs: list[JobView]
    next_cursor: str | None


def new_job_json(new: NewJob, queued: Queued, waiting_for: str | None) -> bytes:
    """The ``JobView`` of a job that was just queued, without reading it again, and without making it: checking what is
    known to be right takes longer."""
    known = {
        "id": queued.job_id,
        "kind": new.kind,
        "state": State.QUEUED,
        "queue": new.queue,
        "priority": new.priority,
        "spec": new.spec,
        "attempt": 0,
        "max_attempts": new.max_attempts,
        "created_at": queued.queued_at,
        "queued_at": queued.queued_at,
        "after": (),
        "tags": new.tags,
        "waiting_for": waiting_for,
    }
    return to_json({**_NOTHING_YET, **known})


_NOTHING_YET = {
    **dict.fromkeys(JobView.model_fields),
    "progress": dict.fromkeys(ProgressView.model_fields),
    "metrics": dict.fromkeys(MetricsView.model_fields),
}


def job_view(session: Session, job: JobRow) -> JobView:
    return job_views(session, [job])[0]


def job_views(session: Session, jobs: Sequence[JobRow]) -> list[JobView]:
    ids = [job.id for job in jobs]
    linked, waits = links(session, ids), Waits(session)
    webhooks = webhooks_of(session, jobs)
    return [
        JobView(
            id=job.id,
            kind=job.kind,
            state=job.state,
            reason=job.reason,
            queue=job.queue,
            priority=job.priority,
            spec=job.spec,
            result=job.result,
            error=job.error,
            progress=ProgressView(
                fraction=job.progress_fraction,
                message=job.progress_message,
                eta_seconds=job.progress_eta_seconds,
            ),
            attempt=job.attempt,
            max_attempts=job.max_attempts,
            worker=linked[job.id].worker,
            created_at=job.created_at,
            queued_at=job.queued_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            run_at=job.run_at,
            after=list(linked[job.id].after),
            tags=job.tags,
            metrics=_metrics(job),
            waiting_for=waits.in_words(job),
            retry_of=job.retry_of,
            webhook=webhook_view(webhooks.get(job.id)),
        )
        for job in jobs
    ]


def _metrics(job: JobRow) -> MetricsView:
    """What workers measured; the two durations follow from the times where they did not."""
    measured = job.metrics
    return MetricsView(
        queue_seconds=measured.get("queue_seconds", _seconds(job.queued_at, job.started_at)),
        load_seconds=measured.get("load_seconds"),
        run_seconds=measured.get("run_seconds", _run_seconds(job)),
        batch_size=measured.get("batch_size"),
        padding_share=measured.get("padding_share"),
        batch_wait_seconds=measured.get("batch_wait_seconds"),
        device_seconds=measured.get("device_seconds"),
        model_loads=measured.get("model_loads"),
        model_hits=measured.get("model_hits"),
        model_bytes=measured.get("model_bytes"),
        peak_memory_bytes=measured.get("peak_memory_bytes"),
    )


def _run_seconds(job: JobRow) -> float | None:
    return _seconds(job.started_at, job.finished_at) if State(job.state).is_final else None


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    # A job that was queued again has a start that belongs to the attempt before.
    return None if start is None or end is None or end < start else (end - start).total_seconds()
