"""From what a program says about a job to what the API wants."""

import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from turnout.parsing import parse, parse_job
from turnout.records import AcceptedJob, Artifact, File, JobRecord, Json, ModelVersion
from turnout.server import Server
from turnout.steps import Plan, Request
from turnout.transport import call, key_for, post, understood

# Sending a file may take hours, and the server answers only after it lies on its disk.
_STORING_SECONDS = 600.0


class HasId(Protocol):
    """A job's handle."""

    @property
    def id(self) -> str: ...


def id_of(job: HasId | str) -> str:
    return job if isinstance(job, str) else job.id


@dataclass(frozen=True)
class Webhook:
    """Where to tell of a job's course. ``events``: ``final``, its end, and ``state``, every change of its state."""

    url: str
    events: Sequence[str] = ("final",)


@dataclass(frozen=True)
class Submission:
    """A job to submit, as one of many. Where ``spec`` takes data, give a ``File``, an ``Artifact``, a ``ModelVersion``,
    or a ``Path``, which is uploaded first. ``priority`` is 0 to 9, 9 goes first; ``after`` are jobs that must succeed
    first; ``webhook`` is told of the end; what is None is left to the server."""

    kind: str
    spec: Mapping[str, Any]
    queue: str | None = None
    priority: int | None = None
    deadline_seconds: float | None = None
    time_limit_seconds: float | None = None
    max_attempts: int | None = None
    run_at: datetime | None = None
    after: Sequence[HasId | str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    webhook: Webhook | str | None = None


def submit(server: Server, submission: Submission, idempotency_key: str | None) -> Plan[JobRecord]:
    body = yield from _body(server, submission, {})
    request = post("/v1/jobs", body, idempotency_key=key_for(idempotency_key))
    return understood(server, (yield from call(server, request, repeatable=True)), parse_job)


def submit_many(
    server: Server, submissions: Iterable[Submission], idempotency_key: str | None
) -> Plan[list[AcceptedJob]]:
    bodies = []
    uploaded: dict[Path, str] = {}
    for submission in submissions:
        bodies.append((yield from _body(server, submission, uploaded)))
    if not bodies:
        return []
    request = post("/v1/jobs/bulk", {"jobs": bodies}, idempotency_key=key_for(idempotency_key))
    answer = yield from call(server, request, repeatable=True)
    return understood(server, answer, lambda raw: [parse(AcceptedJob, job) for job in raw["jobs"]])


def upload(server: Server, path: Path) -> Plan[File]:
    """Repeated from its beginning where the connection breaks: the server keeps nothing of half an upload, and a file
    whose answer alone was lost is there twice, which does no harm."""
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    # File systems take names that are no text; HTTP does not.
    name = path.name.encode(errors="replace").decode()
    with path.open("rb") as content:
        request = Request("POST", "/v1/files", file=(name, content, media_type), read_seconds=_STORING_SECONDS)
        answer = yield from call(server, request, repeatable=True)
    return understood(server, answer, lambda raw: parse(File, raw))


def _body(server: Server, submission: Submission, uploaded: dict[Path, str]) -> Plan[Json]:
    options = {
        "queue": submission.queue,
        "priority": submission.priority,
        "deadline_seconds": submission.deadline_seconds,
        "time_limit_seconds": submission.time_limit_seconds,
        "max_attempts": submission.max_attempts,
        "run_at": None if submission.run_at is None else submission.run_at.isoformat(),
        "after": [id_of(job) for job in submission.after] or None,
        "tags": dict(submission.tags) or None,
        "webhook": _webhook(submission.webhook),
    }
    said = {name: value for name, value in options.items() if value is not None}
    spec = yield from _with_inputs(server, submission.spec, uploaded)
    return {"kind": submission.kind, "spec": spec, **said}


def _webhook(webhook: Webhook | str | None) -> Json | None:
    if isinstance(webhook, Webhook):
        return {"url": webhook.url, "events": list(webhook.events)}
    return None if webhook is None else {"url": webhook}


def _with_inputs(server: Server, value: Any, uploaded: dict[Path, str]) -> Plan[Any]:
    """The same with every file, artifact and path inside it written as the API wants it; each path is uploaded once."""
    match value:
        case Path():
            if value not in uploaded:
                uploaded[value] = (yield from upload(server, value)).id
            return {"file": uploaded[value]}
        case File():
            return {"file": value.id}
        case Artifact():
            return {"job": value.job_id, "artifact": value.name}
        case ModelVersion():
            return {"model": value.name, "version": value.version}
        case Mapping():
            items = {}
            for name, item in value.items():
                items[name] = yield from _with_inputs(server, item, uploaded)
            return items
        case list() | tuple():
            members = []
            for item in value:
                members.append((yield from _with_inputs(server, item, uploaded)))
            return members
    return value
