"""The way into a Turnout server from Python."""

import mimetypes
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from turnout.connection import find_connection
from turnout.downloads import download
from turnout.job import Job
from turnout.parsing import parse, parse_job
from turnout.records import Artifact, File, KindRecord, QueueRecord, WorkerRecord
from turnout.transport import Transport

_PAGE = 100


class Client:
    """``Client()`` finds the server that ``turnout up`` started, or the one that ``TURNOUT_URL`` and
    ``TURNOUT_API_KEY`` name. Close it, or use it in a ``with`` statement."""

    def __init__(self, url: str | None = None, api_key: str | None = None) -> None:
        self._transport = Transport(find_connection(url, api_key))

    @property
    def url(self) -> str:
        return self._transport.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def submit(
        self,
        kind: str,
        spec: Mapping[str, Any],
        *,
        queue: str | None = None,
        priority: int | None = None,
        deadline_seconds: float | None = None,
        time_limit_seconds: float | None = None,
        max_attempts: int | None = None,
        run_at: datetime | None = None,
        after: Sequence[Job | str] = (),
        tags: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Submit a job; it is safe once this returns. Where a spec takes data, give a ``File``, an ``Artifact``, or a
        ``Path``, which is uploaded first. Raises ``Invalid``, whose ``errors`` name the fields."""
        options: dict[str, Any] = {
            "queue": queue,
            "priority": priority,
            "deadline_seconds": deadline_seconds,
            "time_limit_seconds": time_limit_seconds,
            "max_attempts": max_attempts,
            "run_at": None if run_at is None else run_at.isoformat(),
            "after": [job.id if isinstance(job, Job) else job for job in after] or None,
            "tags": dict(tags) if tags else None,
        }
        said = {name: value for name, value in options.items() if value is not None}
        body = {"kind": kind, "spec": self._with_inputs(spec), **said}
        # With a key of its own, a submission whose answer was lost is sent again without making a second job.
        answer = self._transport.post("/v1/jobs", body, idempotency_key=idempotency_key or str(uuid.uuid4()))
        return Job(self._transport, parse_job(answer.json()))

    def job(self, job_id: str) -> Job:
        """Raises ``NotFound``."""
        return Job(self._transport, parse_job(self._transport.get(f"/v1/jobs/{quote(job_id, safe='')}").json()))

    def jobs(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        queue: str | None = None,
        tags: Mapping[str, str] | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Newest first, read page by page; ``limit`` ends it after so many."""
        filters = {"state": state, "kind": kind, "queue": queue}
        filters |= {f"tag.{name}": value for name, value in (tags or {}).items()}
        said = {name: value for name, value in filters.items() if value is not None}
        for raw in self._pages("/v1/jobs", "jobs", said, limit):
            yield Job(self._transport, parse_job(raw))

    def upload(self, path: Path | str) -> File:
        """Upload a local file. Raises ``OSError`` when it can't be read."""
        path = Path(path)
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        with path.open("rb") as content:
            answer = self._transport.upload("/v1/files", path.name, content, media_type)
        return parse(File, answer.json())

    def file(self, file_id: str) -> File:
        return parse(File, self._transport.get(f"/v1/files/{quote(file_id, safe='')}").json())

    def files(self, limit: int | None = None) -> Iterator[File]:
        """Newest first."""
        for raw in self._pages("/v1/files", "files", {}, limit):
            yield parse(File, raw)

    def download_file(self, file: File | str, target: Path | str = ".") -> Path:
        """Keep an uploaded file as a local one; returns where it lies."""
        record = file if isinstance(file, File) else self.file(file)
        return download(self._transport, f"/v1/files/{record.id}/content", Path(target), record.name)

    def delete_file(self, file: File | str) -> None:
        """Raises ``Conflict`` while a job that is not final reads it."""
        self._transport.delete(f"/v1/files/{quote(file.id if isinstance(file, File) else file, safe='')}")

    def kinds(self) -> list[KindRecord]:
        return [parse(KindRecord, raw) for raw in self._transport.get("/v1/kinds").json()["kinds"]]

    def kind(self, name: str) -> KindRecord:
        return parse(KindRecord, self._transport.get(f"/v1/kinds/{quote(name, safe='')}").json())

    def queues(self) -> list[QueueRecord]:
        return [parse(QueueRecord, raw) for raw in self._transport.get("/v1/queues").json()["queues"]]

    def workers(self) -> list[WorkerRecord]:
        return [parse(WorkerRecord, raw) for raw in self._transport.get("/v1/workers").json()["workers"]]

    def _pages(self, path: str, name: str, filters: Mapping[str, str], limit: int | None) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            more = {"cursor": cursor} if cursor else {}
            page = self._transport.get(path, {**filters, "limit": size, **more}).json()
            yield from page[name]
            cursor = page["next_cursor"]
            if cursor is None:
                return
            left = None if left is None else left - len(page[name])

    def _with_inputs(self, value: Any) -> Any:
        """The same spec with every file, artifact and path inside it written as the API wants it."""
        if isinstance(value, Path):
            return {"file": self.upload(value).id}
        if isinstance(value, File):
            return {"file": value.id}
        if isinstance(value, Artifact):
            return {"job": value.job_id, "artifact": value.name}
        if isinstance(value, Mapping):
            return {name: self._with_inputs(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._with_inputs(item) for item in value]
        return value
