"""Names for models, for asyncio."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from turnout import model_calls
from turnout.async_driver import AsyncDriver
from turnout.model_calls import Source
from turnout.records import ModelVersion


class AsyncModels:
    """Names for models of ``Client.models``. A version, as a ``ModelVersion``, may be an input of a job's spec."""

    def __init__(self, driver: AsyncDriver) -> None:
        self._driver = driver

    async def add(
        self, name: str, source: Source, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> ModelVersion:
        """Give a model a name: a ``File``, an ``Artifact`` of a job that has ended, a ``HubModel``, a ``Path``, which
        is uploaded first, or what the API takes, such as ``{"job": id, "artifact": id of a kept model}``. A name that
        is there already gets a further version, which it stands for from now on. What a version stands for can't be
        deleted as long as the version is there. Raises ``Invalid``."""
        return await self._driver.run(model_calls.add(self._driver.server, name, source, description, tags))

    def list(self, limit: int | None = None) -> AsyncGenerator[ModelVersion, None]:
        """Of each name the newest version, the one added last first, read page by page; ``limit`` ends it after so
        many."""
        return self._driver.iterate(model_calls.listed(self._driver.server, limit))

    async def get(self, name: str, version: int | None = None) -> ModelVersion:
        """That version, or the newest. Raises ``NotFound``."""
        return await self._driver.run(model_calls.version(self._driver.server, name, version))

    async def versions(self, name: str) -> Sequence[ModelVersion]:
        """All versions of a name, newest first. Raises ``NotFound``."""
        return await self._driver.run(model_calls.versions(self._driver.server, name))

    async def delete(self, name: str, version: int | None = None) -> None:
        """Delete that version, or the name with all of them; what they stand for is left alone. Raises ``NotFound``,
        and ``Conflict`` while a job that is not final reads one of them."""
        await self._driver.run(model_calls.delete(self._driver.server, name, version))

    async def download(self, name: str, target: Path | str = ".", *, version: int | None = None) -> Path:
        """Keep a model as a local file, whole or not at all; returns where it lies. ``target`` is a directory that
        exists, or the file's own path. Raises ``NotFound``, ``BrokenDownload``, ``OSError``, and ``Conflict`` for a
        model of the hub."""
        return await self._driver.run(model_calls.download_model(self._driver.server, name, version, Path(target)))
