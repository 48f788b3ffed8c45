"""A handle of one job, for asyncio."""

from collections.abc import AsyncGenerator
from pathlib import Path

from turnout import calls
from turnout.async_driver import AsyncDriver
from turnout.event_stream import follow
from turnout.job import JobHandle
from turnout.mlflow_export import DEFAULT_EXPERIMENT, export
from turnout.records import Artifact, Attempt, Event, JobRecord, Json, Leaderboard
from turnout.waiting import wait


class AsyncJob(JobHandle):
    """``Job`` for asyncio: the same methods, awaited. ``record`` is what was last heard of it; ``refresh`` asks
    again."""

    def __init__(self, driver: AsyncDriver, record: JobRecord) -> None:
        super().__init__(driver.server.url, record)
        self._driver = driver

    async def refresh(self) -> JobRecord:
        """Ask the server how the job is."""
        self.record = await self._driver.run(calls.job(self._driver.server, self.id))
        return self.record

    async def wait(self, timeout_seconds: float | None = None) -> JobRecord:
        """The job once it is final, whatever its end. However long that takes; a server that restarts or can't be
        reached is outlasted for a minute each time. Raises ``WaitedTooLong`` when it is not final in time,
        ``ServerUnreachable`` when the server stays away."""
        self.record = await self._driver.run(wait(self._driver.server, self.id, timeout_seconds))
        return self.record

    async def result(self, timeout_seconds: float | None = None) -> Json:
        """What the job found, once it succeeded, with the fields of its kind. Waits as ``wait`` does. Raises
        ``JobFailed``, or ``JobCancelled``, which is one, when it ended without a result."""
        await self.wait(timeout_seconds)
        return self._result()

    def stream(self, after: int = 0) -> AsyncGenerator[Event, None]:
        """Each event numbered above ``after`` as it happens, once and in order, until the job is final. A lost
        connection is taken up again where it broke; raises ``ServerUnreachable`` when the server stays away for a
        minute."""
        return self._driver.iterate(follow(self._driver.server, self.id, after))

    async def events(self, after: int = 0) -> list[Event]:
        """The events up to now that are numbered above ``after``."""
        return await self._driver.run(calls.events(self._driver.server, self.id, after))

    async def cancel(self) -> JobRecord:
        """Discard the job; a running one ends within seconds. Raises ``Conflict`` when it is final."""
        self.record = await self._driver.run(calls.end(self._driver.server, self.id, "cancel"))
        return self.record

    async def stop(self) -> JobRecord:
        """End the job early and keep its best so far. Raises ``Conflict`` when it is final."""
        self.record = await self._driver.run(calls.end(self._driver.server, self.id, "stop"))
        return self.record

    async def retry(self, *, idempotency_key: str | None = None) -> "AsyncJob":
        """A new job from the same spec, and from the checkpoint where its kind allows it; its ``retry_of`` is this one.
        Raises ``Conflict`` unless this one failed or was cancelled."""
        return AsyncJob(
            self._driver, await self._driver.run(calls.retry(self._driver.server, self.id, idempotency_key))
        )

    async def leaderboard(self) -> Leaderboard:
        """The models so far, best first; no rows while there are none."""
        return await self._driver.run(calls.leaderboard(self._driver.server, self.id))

    async def leaderboard_csv(self) -> str:
        """The same as a table with a header line."""
        return await self._driver.run(calls.leaderboard_csv(self._driver.server, self.id))

    async def attempts(self) -> list[Attempt]:
        """Every run of the job and how it ended, the first one first."""
        return await self._driver.run(calls.attempts(self._driver.server, self.id))

    async def artifacts(self) -> list[Artifact]:
        """The files that the job saved."""
        return await self._driver.run(calls.artifacts(self._driver.server, self.id))

    async def download(self, name: str, target: Path | str = ".") -> Path:
        """Keep an artifact as a local file, whole or not at all; returns where it lies. ``target`` is a directory that
        exists, or the file's own path. Raises ``NotFound``, ``BrokenDownload`` and ``OSError``."""
        return await self._driver.run(calls.download_artifact(self._driver.server, self.id, name, Path(target)))

    async def export_to_mlflow(self, tracking_uri: str | None = None, experiment: str = DEFAULT_EXPERIMENT) -> str:
        """Write the job as a run of MLflow: its spec as parameters, the leader's metrics on the test rows, leaderboard,
        pictures, report and model as artifacts; returns the run's id. ``tracking_uri`` is MLflow's own default if None.
        Exporting again completes the same run. Raises ``Unusable`` for a job that goes on, and without MLflow
        (``pip install 'turnout[mlflow]'``), and ``ExportFailed``."""
        return await self._driver.run(export(self._driver.server, self.id, tracking_uri, experiment))
