"""Workers tell of jobs that are final, over a real broker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from db.engine import Database
from db.states import State
from tasks.broker import BrokerUnavailable
from tasks.ends import EndListener, EndSender
from tests.integration.rows import wait_for
from tests.integration.worker_process import Workers
from tests.servers import ValkeyServer

pytestmark = pytest.mark.processes_alone


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@asynccontextmanager
async def listening(valkey: ValkeyServer, url: str) -> AsyncIterator["asyncio.Queue[Sequence[str] | Exception]"]:
    """What the listener hears from when it listens, and how it ended."""
    told: asyncio.Queue[Sequence[str] | Exception] = asyncio.Queue()

    async def listen() -> None:
        try:
            async for job_ids in EndListener(url).ends():
                await told.put(job_ids)
        except BrokerUnavailable as exc:
            await told.put(exc)

    listener = asyncio.create_task(listen())
    async with asyncio.timeout(20):
        assert await told.get() == ()
        yield told
    listener.cancel()
    await asyncio.gather(listener, return_exceptions=True)


def test_the_ends_of_one_turnout_are_heard_and_rubbish_is_not(valkey: ValkeyServer) -> None:
    async def story() -> None:
        async with listening(valkey, valkey.url) as told:
            [channel] = valkey.client().pubsub_channels()
            EndSender(valkey.url.removesuffix("/0") + "/3").send(["of another one"])
            for rubbish in (b"\xff", b"{}", b"7", b"[[1], null]"):
                valkey.client().publish(channel, rubbish)
            EndSender(valkey.url).send(["a", "b"])
            while not (heard := await told.get()):
                assert heard == () or heard == []
            assert heard == ["a", "b"]

    asyncio.run(story())


def test_a_listener_says_that_its_connection_is_lost(valkey: ValkeyServer) -> None:
    async def story() -> None:
        async with listening(valkey, valkey.url) as told:
            valkey.client().client_kill_filter(_type="pubsub")
            assert isinstance(await told.get(), BrokerUnavailable)

    asyncio.run(story())


def test_a_refusing_broker_is_reported(tmp_path: Path) -> None:
    gone = ValkeyServer(tmp_path)

    async def listen() -> None:
        async for _ in EndListener(gone.url).ends():
            pass

    with pytest.raises(BrokerUnavailable):
        EndSender(gone.url).send(["a"])
    with pytest.raises(BrokerUnavailable):
        asyncio.run(listen())


def test_a_broker_without_channels_is_told_nothing() -> None:
    async def listen() -> list[Sequence[str]]:
        return [heard async for heard in EndListener("memory://").ends()]

    EndSender("memory://").send(["a"])
    assert asyncio.run(listen()) == []


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("share_runner", {"kind": "share_runner", "how": "double", "values": [1]}),
        ("share_runner", {"kind": "share_runner", "how": "exit", "values": [1]}),
        ("check_worker", {"kind": "check_worker"}),
    ],
)
def test_a_worker_tells_of_every_end(
    database: Database, workers: Workers, submitted: Callable[..., str], valkey: ValkeyServer, kind: str, spec: object
) -> None:
    async def story() -> None:
        async with listening(valkey, valkey.url) as told:
            workers.start(broker_url=valkey.url)
            job_id = submitted(kind=kind, spec=spec)
            assert await told.get() == [job_id]
            assert State(wait_for(database, job_id).state).is_final

    asyncio.run(story())
