"""The way into a Turnout server from Python."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from turnout import calls, model_calls, submissions
from turnout.connection import find_connection
from turnout.driver import Driver
from turnout.job import Job
from turnout.named_models import Models
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


class Client:
    """``Client()`` finds the server that ``turnout up`` started, or the one that ``TURNOUT_URL`` and
    ``TURNOUT_API_KEY`` name. Close it, or use it in a ``with`` statement. Threads may share it.

    What is safe to repeat is tried again when the connection breaks or the server is overloaded: for two seconds at a
    server that never answered, for twenty at one that did. Every method raises ``ServerUnreachable`` and
    ``Refused``."""

    def __init__(self, url: str | None = None, api_key: str | None = None) -> None:
        self._driver = Driver(find_connection(url, api_key))

    @property
    def models(self) -> Models:
        """Names for models: add, list, get, download, delete."""
        return Models(self._driver)

    @property
    def url(self) -> str:
        """The server's address."""
        return self._driver.server.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections. Whoever still waits or streams gets ``ClientClosed``, with the server's next answer
        (within half a minute) at the latest. Closing twice does no harm."""
        self._driver.close()

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
        webhook: Webhook | str | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
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
        return self._job(self._driver.run(submissions.submit(self._driver.server, submission, idempotency_key)))

    def submit_many(self, jobs: Iterable[Submission], *, idempotency_key: str | None = None) -> list[AcceptedJob]:
        """Submit up to 10,000 jobs at once, all or none; returns their ids in the order given. Raises ``Invalid``,
        whose ``errors`` begin with the index of the job that is wrong."""
        return self._driver.run(submissions.submit_many(self._driver.server, jobs, idempotency_key))

    def job(self, job_id: str) -> Job:
        """Raises ``NotFound``."""
        return self._job(self._driver.run(calls.job(self._driver.server, job_id)))

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
        for record in self._driver.iterate(calls.jobs(self._driver.server, filters, tags, limit)):
            yield self._job(record)

    def cancel(self, job: Job | str) -> Job:
        """Discard a job; a running one ends within seconds. Raises ``NotFound``, and ``Conflict`` when it is final."""
        return self._job(self._driver.run(calls.end(self._driver.server, id_of(job), "cancel")))

    def stop(self, job: Job | str) -> Job:
        """End a job early and keep its best so far. Raises ``NotFound``, and ``Conflict`` when it is final."""
        return self._job(self._driver.run(calls.end(self._driver.server, id_of(job), "stop")))

    def retry(self, job: Job | str, *, idempotency_key: str | None = None) -> Job:
        """A new job from the same spec, and from the checkpoint where its kind allows it; its ``retry_of`` is the old
        one. Raises ``NotFound``, and ``Conflict`` unless the old one failed or was cancelled."""
        return self._job(self._driver.run(calls.retry(self._driver.server, id_of(job), idempotency_key)))

    def leaderboard(self, job: Job | str) -> Leaderboard:
        """A job's models so far, best first; no rows while there are none. Raises ``NotFound``."""
        return self._driver.run(calls.leaderboard(self._driver.server, id_of(job)))

    def attempts(self, job: Job | str) -> list[Attempt]:
        """Every run of a job and how it ended, the first one first. Raises ``NotFound``."""
        return self._driver.run(calls.attempts(self._driver.server, id_of(job)))

    def artifacts(self, job: Job | str) -> list[Artifact]:
        """The files that a job saved. Raises ``NotFound``."""
        return self._driver.run(calls.artifacts(self._driver.server, id_of(job)))

    def compare(self, *items: Job | ModelVersion | str) -> Comparison:
        """Trainings side by side: metrics on the test rows, and the options that differ. Give jobs, named models, or
        texts such as ``job:ID`` and ``model:NAME/VERSION``. Where they were not tested on the same rows it says so.
        Raises ``NotFound``, ``Invalid``, and ``Conflict`` for a job that did not succeed."""
        return self._driver.run(model_calls.compare(self._driver.server, items))

    def upload(self, path: Path | str) -> File:
        """Upload a local file. Raises ``OSError`` when it can't be read, ``TooLarge``, and ``StorageFull`` when the
        server has no room."""
        return self._driver.run(submissions.upload(self._driver.server, Path(path)))

    def file(self, file_id: str) -> File:
        """With ``table``, the columns of a CSV or Parquet file. Raises ``NotFound``."""
        return self._driver.run(calls.file(self._driver.server, file_id))

    def files(self, limit: int | None = None) -> Iterator[File]:
        """Uploaded files, newest first, read page by page; ``limit`` ends it after so many."""
        return self._driver.iterate(calls.files(self._driver.server, limit))

    def download_file(self, file: File | str, target: Path | str = ".") -> Path:
        """Keep an uploaded file as a local one, whole or not at all; returns where it lies. ``target`` is a directory
        that exists, or the file's own path. Raises ``NotFound``, ``BrokenDownload`` and ``OSError``."""
        return self._driver.run(calls.download_file(self._driver.server, file, Path(target)))

    def delete_file(self, file: File | str) -> None:
        """Raises ``NotFound``, and ``Conflict`` while a job that is not final reads it."""
        self._driver.run(calls.delete_file(self._driver.server, file))

    def kinds(self) -> list[KindRecord]:
        """The kinds of jobs that can be submitted."""
        return self._driver.run(calls.several(self._driver.server, "/v1/kinds", "kinds", KindRecord))

    def kind(self, name: str) -> KindRecord:
        """Raises ``NotFound``."""
        return self._driver.run(calls.kind(self._driver.server, name))

    def queues(self) -> list[QueueRecord]:
        """How much lies in each queue, and who works on it."""
        return self._driver.run(calls.several(self._driver.server, "/v1/queues", "queues", QueueRecord))

    def workers(self) -> list[WorkerRecord]:
        """The workers that are there."""
        return self._driver.run(calls.several(self._driver.server, "/v1/workers", "workers", WorkerRecord))

    def webhook_secret(self) -> str:
        """What the webhooks of this key's owner are signed with, for those who receive them."""
        return self._driver.run(calls.webhook_secret(self._driver.server))

    def replace_webhook_secret(self) -> str:
        """Sign with a new secret, which is returned; for a day the old one signs along."""
        return self._driver.run(calls.replace_webhook_secret(self._driver.server))

    def health(self) -> HealthRecord:
        """Whether the server lives; asked once, without patience. Raises ``ServerUnreachable``."""
        return self._driver.run(calls.probe(self._driver.server, "/healthz", HealthRecord))

    def ready(self) -> ReadinessRecord:
        """Whether jobs can be submitted; asked once, without patience. Raises ``ServerTrouble``, whose ``code`` tells
        why not, and ``ServerUnreachable``."""
        return self._driver.run(calls.probe(self._driver.server, "/readyz", ReadinessRecord))

    def _job(self, record: JobRecord) -> Job:
        return Job(self._driver, record)
