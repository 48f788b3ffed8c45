"""Whoever leaves in the middle leaves nothing behind: cancelled tasks, Ctrl-C, loops that are broken off. And many at
once share a client."""

import asyncio
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.api.serving import HandWorker
from tests.unit.turnout.conftest import Server
from tests.unit.turnout.misbehaving import Hang, Misbehaving, Pass
from tests.waiting import until
from turnout import AsyncClient, AsyncJob, Client, FieldError, Invalid, JobFailed, TurnoutError, Unusable

SPEC = {"text": "one two three"}


@pytest.fixture
def line(server: Server) -> Iterator[Misbehaving]:
    line = Misbehaving(server.port)
    yield line
    line.close()


@pytest.fixture
def job_id(client: Client, worker: HandWorker) -> str:
    """A running job with an artifact."""
    job = client.submit("count_words", SPEC)
    worker.save(worker.start(job.id), "model.bin", b"x" * 1_000_000)
    return job.id


async def _stream(job: AsyncJob, _directory: Path) -> None:
    async for _event in job.stream():
        pass


async def _wait(job: AsyncJob, _directory: Path) -> None:
    await job.wait()


async def _download(job: AsyncJob, directory: Path) -> None:
    await job.download("model.bin", directory)


@pytest.mark.parametrize(("act", "after_bytes"), [(_stream, 20), (_wait, 0), (_download, 300_000)])
def test_a_cancelled_task_leaves_nothing(
    line: Misbehaving,
    server: Server,
    job_id: str,
    tmp_path: Path,
    act: Callable[[AsyncJob, Path], Awaitable[None]],
    after_bytes: int,
) -> None:
    async def main() -> None:
        async with AsyncClient(line.url, server.serving.keys.ann) as client:
            job = await client.job(job_id)
            line.faults = [Hang(after_bytes)]
            task = asyncio.ensure_future(act(job, tmp_path))
            # A wait is not final, so its answer hangs only once the server gave one.
            await asyncio.to_thread(until, lambda: line.hanging or len(line.seen) > 1)
            if act is _download:
                await asyncio.to_thread(until, lambda: [path.suffix for path in tmp_path.iterdir()] == [".part"])
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert list(tmp_path.iterdir()) == []
            await asyncio.to_thread(until, lambda: not line.hanging)
            assert (await job.refresh()).state == "running"

    asyncio.run(main())


def test_a_loop_that_is_left_hangs_up(line: Misbehaving, server: Server, job_id: str) -> None:
    async def main() -> None:
        async with AsyncClient(line.url, server.serving.keys.ann) as client:
            job = await client.job(job_id)
            line.faults = [Hang(300)]
            async for event in job.stream():
                assert event.seq == 1
                break
            await asyncio.to_thread(until, lambda: not line.hanging)

    asyncio.run(main())
    with Client(line.url, server.serving.keys.ann) as client:
        job = client.job(job_id)
        line.faults = [Hang(300)]
        for event in job.stream():
            assert event.seq == 1
            break
        until(lambda: not line.hanging)


SCRIPT = """
import asyncio, sys
from turnout import AsyncClient, Client
url, key, job_id, awaiting = sys.argv[1:]
async def main():
    async with AsyncClient(url, key) as client:
        await (await client.job(job_id)).download("model.bin")
if awaiting == "yes":
    asyncio.run(main())
else:
    with Client(url, key) as client:
        client.job(job_id).download("model.bin")
"""


@pytest.mark.parametrize("awaiting", ["no", "yes"])
def test_ctrl_c_leaves_no_half_file(
    line: Misbehaving, server: Server, job_id: str, tmp_path: Path, awaiting: str
) -> None:
    line.faults = [Pass(), Hang(300_000)]
    command = [sys.executable, "-P", "-c", SCRIPT, line.url, server.serving.keys.ann, job_id, awaiting]
    script = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: line.hanging and list(tmp_path.glob("*.part")))
        script.send_signal(signal.SIGINT)
        _out, errors = script.communicate(timeout=30)
    finally:
        script.kill()
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert list(tmp_path.iterdir()) == []


def test_threads_share_a_client(client: Client) -> None:
    ended: list[str] = []

    def work() -> None:
        for _ in range(5):
            job = client.submit("count_words", SPEC)
            assert client.job(job.id).id == job.id
            ended.append(job.cancel().state)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert ended == ["cancelled"] * 40


def test_many_waits_keep_nobody_out(line: Misbehaving, server: Server, worker: HandWorker) -> None:
    """httpx's own limit of a hundred connections would make the rest wait until a job ends."""

    async def main() -> None:
        async with AsyncClient(line.url, server.serving.keys.ann) as client:
            job = await client.submit("count_words", SPEC)
            waits = [asyncio.ensure_future(job.result()) for _ in range(120)]
            await asyncio.to_thread(until, lambda: len(line.seen) > 120)
            token = await asyncio.to_thread(worker.start, job.id)
            await asyncio.to_thread(lambda: worker.succeed(token, words=3))
            assert await asyncio.gather(*waits) == [{"words": 3}] * 120

    asyncio.run(main())


def test_a_client_belongs_to_one_event_loop(server: Server) -> None:
    client = AsyncClient(server.url, server.serving.keys.ann)
    assert asyncio.run(client.kinds())
    with pytest.raises(Unusable, match="event loop"):
        asyncio.run(client.kinds())


def test_errors_pass_from_process_to_process(client: Client, worker: HandWorker) -> None:
    job = client.submit("count_words", SPEC)
    worker.fail(worker.start(job.id), "No.")
    with pytest.raises(JobFailed) as failed:
        job.result()
    fields = [FieldError("spec.x", "There is no such field.", "unknown_field")]
    errors: list[TurnoutError] = [failed.value, Invalid(422, "invalid_request", "It is wrong.", fields)]
    for error in errors:
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        assert (type(copy), str(copy), copy.code, vars(copy)) == (type(error), str(error), error.code, vars(error))
