"""What can be submitted, and who is there to run it."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from api.auth import Holder
from api.problems import not_found
from api.services import ServicesOf
from db.workers import live_workers, queue_depths
from tasks.kind import Kind
from tasks.queues import Queue

router = APIRouter(prefix="/v1", tags=["kinds, queues, workers"])


class KindView(BaseModel):
    """A kind of job: what its spec and result look like, where it runs, and its limits and defaults."""

    name: str
    doc: str
    queues: list[str]
    default_queue: str
    time_limit_seconds: float
    stall_limit_seconds: float | None
    max_attempts: int
    spec_schema: dict[str, Any]
    result_schema: dict[str, Any]


class KindList(BaseModel):
    kinds: list[KindView]


class QueueView(BaseModel):
    """How much lies in a queue, and who works on it."""

    name: str
    waiting: int
    queued: int
    running: int
    oldest_queued_at: datetime | None
    live_workers: int
    slots: int


class QueueList(BaseModel):
    queues: list[QueueView]


class HeldModelView(BaseModel):
    """A model that a runner keeps loaded, so that its next use loads nothing."""

    name: str
    bytes: int


class WorkerView(BaseModel):
    """A worker that gave a sign of life in the last seconds."""

    name: str
    queue: str
    slots: int
    pid: int
    started_at: datetime
    last_seen_at: datetime
    models: list[HeldModelView]


class WorkerList(BaseModel):
    workers: list[WorkerView]


@router.get("/kinds", summary="What can be submitted")
def get_kinds(_holder: Holder, services: ServicesOf) -> KindList:
    return KindList(kinds=[_view(kind) for _name, kind in sorted(services.kinds.items())])


@router.get("/kinds/{name}", summary="One kind, with its JSON schemas")
def get_kind(_holder: Holder, services: ServicesOf, name: str) -> KindView:
    if name not in services.kinds:
        raise not_found("kind", name)
    return _view(services.kinds[name])


@router.get("/queues", summary="How much lies in each queue")
def get_queues(_holder: Holder, services: ServicesOf) -> QueueList:
    with services.database.read() as session:
        depths = queue_depths(session, [queue.value for queue in Queue])
    return QueueList(
        queues=[
            QueueView(
                name=depth.queue,
                waiting=depth.waiting,
                queued=depth.queued,
                running=depth.running,
                oldest_queued_at=depth.oldest_queued_at,
                live_workers=depth.live_workers,
                slots=depth.slots,
            )
            for depth in depths
        ]
    )


@router.get("/workers", summary="The workers that are there")
def get_workers(_holder: Holder, services: ServicesOf) -> WorkerList:
    with services.database.read() as session:
        rows = live_workers(session)
    return WorkerList(
        workers=[
            WorkerView(
                name=row.name,
                queue=row.queue,
                slots=row.slots,
                pid=row.pid,
                started_at=row.started_at,
                last_seen_at=row.last_seen_at,
                models=[HeldModelView(name=held["name"], bytes=held["bytes"]) for held in row.models],
            )
            for row in rows
        ]
    )


def _view(kind: Kind) -> KindView:
    return KindView(
        name=kind.name,
        doc=kind.doc,
        queues=[queue.value for queue in kind.queues],
        default_queue=kind.default_queue.value,
        time_limit_seconds=kind.time_limit.total_seconds(),
        stall_limit_seconds=None if kind.stall_limit is None else kind.stall_limit.total_seconds(),
        max_attempts=kind.max_attempts,
        spec_schema=kind.spec.model_json_schema(),
        result_schema=kind.result.model_json_schema(),
    )
