"""The way into a Turnout server from Python, for asyncio."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from turnout import calls, model_calls, submissions
from turnout.async_driver import AsyncDriver
from turnout.async_job import AsyncJob
from turnout.async_named_models import AsyncModels
from turnout.connection import find_connection
from turnout.records import (
    AcceptedJob,
    Artifact,
    Attempt,
    Comparison,
    File,
    HealthRecord,
    JobRecord,
    KindRecord,
    Leaderboard,
    ModelVersion,
    QueueRecord,
    ReadinessRecord,
    WorkerRecord,
)
from turnout.submissions import Submission, Webhook, id_of


class AsyncClient:
    """``Client`` for asyncio: the same methods, awaited. Finds its server in the same way. Close it, or use it in an
    ``async with`` statement, in the event loop in which it is used; its tasks may share it. A task that is cancelled
    in the middle of a call leaves no connection and no half a file behind.

    What is safe to repeat is tried again when the connection breaks or the server is overloaded: for two seconds at a
    server that never answered, for twenty at one that did. Every method raises ``ServerUnreachable`` and
    ``Refused``."""

    def __init__(self, url: str | None = None, api_key: str | None = None) -> None:
        self._driver = AsyncDriver(find_connection(url, api_key))

    @property
    def models(self) -> AsyncModels:
        """Names for models: add, list, get, download, delete."""
        return AsyncModels(self._driver)

    @property
    def url(self) -> str:
        """The server's address."""
        return self._driver.server.url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End all connections. Whoever still waits or streams gets ``ClientClosed``, with the server's next answer
        (within half a minute) at the latest. Closing twice does no harm."""
        await self._driver.close()

    async def submit(
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
        after: Sequence[AsyncJob | str] = (),
        tags: Mapping[str, str] | None = None,
        webhook: Webhook | str | None = None,
        idempotency_key: str | None = None,
    ) -> AsyncJob:
        """Submit a job; it is safe once this returns, and there once even if the answer was lost on the way. Where a
        spec takes data, give a ``File``, an ``Artifact``, a ``ModelVersion``, or a ``Path``, which is uploaded first.
        ``priority`` is 0 to 9, 9 goes first. ``webhook`` is a URL that is told of the job's end. Submitting again with
        the same ``idempotency_key`` finds the first job. Raises ``Invalid``, whose ``errors`` name the fields."""
        submission = Submission(
            kind,
            spec,
            queue=queue,
            priority=priority,
            deadline_seconds=deadline_seconds,
            time_limit_seconds=time_limit_seconds,
            max_attempts=max_attempts,
            run_at=run_at,
            after=after,
            tags=tags or {},
            webhook=webhook,
        )
        return self._job(await self._driver.run(submissions.submit(self._driver.server, submission, idempotency_key)))

    async def submit_many(self, jobs: Iterable[Submission], *, idempotency_key: str | None = None) -> list[AcceptedJob]:
        """Submit up to 10,000 jobs at once, all or none; returns their ids in the order given. Raises ``Invalid``,
        whose ``errors`` begin with the index of the job that is wrong."""
        return await self._driver.run(submissions.submit_many(self._driver.server, jobs, idempotency_key))

    async def job(self, job_id: str) -> AsyncJob:
        """Raises ``NotFound``."""
        return self._job(await self._driver.run(calls.job(self._driver.server, job_id)))

    async def jobs(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        queue: str | None = None,
        tags: Mapping[str, str] | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[AsyncJob, None]:
        """Newest first, read page by page; ``limit`` ends it after so many."""
        filters = {"state": state, "kind": kind, "queue": queue}
        async for record in self._driver.iterate(calls.jobs(self._driver.server, filters, tags, limit)):
            yield self._job(record)

    async def cancel(self, job: AsyncJob | str) -> AsyncJob:
        """Discard a job; a running one ends within seconds. Raises ``NotFound``, and ``Conflict`` when it is final."""
        return self._job(await self._driver.run(calls.end(self._driver.server, id_of(job), "cancel")))

    async def stop(self, job: AsyncJob | str) -> AsyncJob:
        """End a job early and keep its best so far. Raises ``NotFound``, and ``Conflict`` when it is final."""
        return self._job(await self._driver.run(calls.end(self._driver.server, id_of(job), "stop")))

    async def retry(self, job: AsyncJob | str, *, idempotency_key: str | None = None) -> AsyncJob:
        """A new job from the same spec, and from the checkpoint where its kind allows it; its ``retry_of`` is the old
        one. Raises ``NotFound``, and ``Conflict`` unless the old one failed or was cancelled."""
        return self._job(await self._driver.run(calls.retry(self._driver.server, id_of(job), idempotency_key)))

    async def leaderboard(self, job: AsyncJob | str) -> Leaderboard:
        """A job's models so far, best first; no rows while there are none. Raises ``NotFound``."""
        return await self._driver.run(calls.leaderboard(self._driver.server, id_of(job)))

    async def attempts(self, job: AsyncJob | str) -> list[Attempt]:
        """Every run of a job and how it ended, the first one first. Raises ``NotFound``."""
        return await self._driver.run(calls.attempts(self._driver.server, id_of(job)))

    async def artifacts(self, job: AsyncJob | str) -> list[Artifact]:
        """The files that a job saved. Raises ``NotFound``."""
        return await self._driver.run(calls.artifacts(self._driver.server, id_of(job)))

    async def compare(self, *items: AsyncJob | ModelVersion | str) -> Comparison:
        """Trainings side by side: metrics on the test rows, and the options that differ. Give jobs, named models, or
        texts such as ``job:ID`` and ``model:NAME/VERSION``. Where they were not tested on the same rows it says so.
        Raises ``NotFound``, ``Invalid``, and ``Conflict`` for a job that did not succeed."""
        return await self._driver.run(model_calls.compare(self._driver.server, items))

    async def upload(self, path: Path | str) -> File:
        """Upload a local file. Raises ``OSError`` when it can't be read, ``TooLarge``, and ``StorageFull`` when the
        server has no room."""
        return await self._driver.run(submissions.upload(self._driver.server, Path(path)))

    async def file(self, file_id: str) -> File:
        """With ``table``, the columns of a CSV or Parquet file. Raises ``NotFound``."""
        return await self._driver.run(calls.file(self._driver.server, file_id))

    def files(self, limit: int | None = None) -> AsyncGenerator[File, None]:
        """Uploaded files, newest first, read page by page; ``limit`` ends it after so many."""
        return self._driver.iterate(calls.files(self._driver.server, limit))

    async def download_file(self, file: File | str, target: Path | str = ".") -> Path:
        """Keep an uploaded file as a local one, whole or not at all; returns where it lies. ``target`` is a directory
        that exists, or the file's own path. Raises ``NotFound``, ``BrokenDownload`` and ``OSError``."""
        return await self._driver.run(calls.download_file(self._driver.server, file, Path(target)))

    async def delete_file(self, file: File | str) -> None:
        """Raises ``NotFound``, and ``Conflict`` while a job that is not final reads it."""
        await self._driver.run(calls.delete_file(self._driver.server, file))

    async def kinds(self) -> list[KindRecord]:
        """The kinds of jobs that can be submitted."""
        return await self._driver.run(calls.several(self._driver.server, "/v1/kinds", "kinds", KindRecord))

    async def kind(self, name: str) -> KindRecord:
        """Raises ``NotFound``."""
        return await self._driver.run(calls.kind(self._driver.server, name))

    async def queues(self) -> list[QueueRecord]:
        """How much lies in each queue, and who works on it."""
        return await self._driver.run(calls.several(self._driver.server, "/v1/queues", "queues", QueueRecord))

    async def workers(self) -> list[WorkerRecord]:
        """The workers that are there."""
        return await self._driver.run(calls.several(self._driver.server, "/v1/workers", "workers", WorkerRecord))

    async def webhook_secret(self) -> str:
        """What the webhooks of this key's owner are signed with, for those who receive them."""
        return await self._driver.run(calls.webhook_secret(self._driver.server))

    async def replace_webhook_secret(self) -> str:
        """Sign with a new secret, which is returned; for a day the old one signs along."""
        return await self._driver.run(calls.replace_webhook_secret(self._driver.server))

    async def health(self) -> HealthRecord:
        """Whether the server lives; asked once, without patience. Raises ``ServerUnreachable``."""
        return await self._driver.run(calls.probe(self._driver.server, "/healthz", HealthRecord))

    async def ready(self) -> ReadinessRecord:
        """Whether jobs can be submitted; asked once, without patience. Raises ``ServerTrouble``, whose ``code`` tells
        why not, and ``ServerUnreachable``."""
        return await self._driver.run(calls.probe(self._driver.server, "/readyz", ReadinessRecord))

    def _job(self, record: JobRecord) -> AsyncJob:
        return AsyncJob(self._driver, record)
