"""Waiting for a job: who is woken by what, and how jobs are read for many at once."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete

import api.following
import api.tailer
from api.job_reader import JobReader
from api.job_views import JobView, job_views
from api.problems import Problem
from db.jobs import find_all
from db.owners import holder_of
from db.rows import JobRow
from tests.unit.api.serving import Background, HandWorker, Serving
from tests.waiting import until

COUNT = {"kind": "count_words", "spec": {"text": "one two"}}


@pytest.fixture(autouse=True)
def one_waiter_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits looks for its client every second, and then waits anew."""
    monkeypatch.setattr(api.following, "_LOOK_SECONDS", 3600.0)


@pytest.fixture
def no_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """One poll, and then none for longer than any test lasts."""
    monkeypatch.setattr(api.tailer, "_POLL_SECONDS", 3600.0)


def hear(client: TestClient, serving: Serving, *job_ids: str) -> None:
    assert client.portal is not None
    client.portal.call(serving.services.tailer.hear, job_ids)


def close(client: TestClient, serving: Serving) -> None:
    assert client.portal is not None
    client.portal.call(serving.services.tailer.close)


def submitted(client: TestClient) -> str:
    return str(client.post("/v1/jobs", json=COUNT).json()["id"])


def waiting_for(client: TestClient, serving: Serving, job_id: str) -> Background:
    call = Background(lambda: client.get(f"/v1/jobs/{job_id}?wait=60").json()["state"])
    until(lambda: job_id in serving.services.tailer._waiters)
    return call


@pytest.mark.usefixtures("no_polls")
def test_who_waits_is_woken_by_what_a_worker_tells(client: TestClient, serving: Serving, worker: HandWorker) -> None:
    first = waiting_for(client, serving, submitted(client))
    job_id = submitted(client)
    call = waiting_for(client, serving, job_id)
    worker.succeed(worker.start(job_id), words=2)
    hear(client, serving, "unknown", job_id)
    assert call.result() == "succeeded"
    assert serving.services.tailer.watched_jobs == 1
    close(client, serving)
    assert first.result() == "queued"


@pytest.mark.usefixtures("no_polls")
def test_a_false_word_ends_no_wait(client: TestClient, serving: Serving, worker: HandWorker) -> None:
    job_id = submitted(client)
    call = waiting_for(client, serving, job_id)
    [waiter] = serving.services.tailer._waiters[job_id]
    hear(client, serving, job_id)
    until(lambda: waiter not in serving.services.tailer._waiters.get(job_id, {waiter}))
    worker.succeed(worker.start(job_id), words=2)
    hear(client, serving, job_id)
    assert call.result() == "succeeded"


@pytest.mark.usefixtures("no_polls")
def test_an_end_that_is_told_before_somebody_waits_is_remembered(
    client: TestClient, serving: Serving, worker: HandWorker
) -> None:
    # Its poll finds nothing, and the next one is an hour away.
    other = waiting_for(client, serving, submitted(client))
    job_id = submitted(client)
    worker.succeed(worker.start(job_id), words=2)
    hear(client, serving, job_id)
    assert client.portal is not None
    assert client.portal.call(serving.services.tailer.ended, job_id, 60)
    hear(client, serving, *map(str, range(3000)))
    assert len(serving.services.tailer._ended_lately) <= 2000
    close(client, serving)
    other.result()


def test_without_any_word_the_poll_tells_of_the_end(
    client: TestClient, serving: Serving, worker: HandWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of nothing else: a report does not wake who waits for the end."""
    polls: list[int] = []
    poll = api.tailer.Tailer._poll
    monkeypatch.setattr(api.tailer.Tailer, "_poll", lambda self, ids: polls.append(1) or poll(self, ids))
    job_id = submitted(client)
    call = waiting_for(client, serving, job_id)
    [waiter] = serving.services.tailer._waiters[job_id]
    token = worker.start(job_id)
    worker.report(token, 0.5, "half")
    before = len(polls)
    until(lambda: len(polls) > before + 1)
    assert not waiter.woken.is_set()
    worker.succeed(token, words=2)
    assert call.result() == "succeeded"


def test_many_jobs_are_read_at_once(client: TestClient, serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    read = JobReader._read

    def counting(self: JobReader, asked: Sequence[Any]) -> Sequence[JobView | Exception]:
        looks.append(len(asked))
        return read(self, asked)

    monkeypatch.setattr(JobReader, "_read", counting)
    job_ids = [submitted(client) for _ in range(30)]
    with serving.services.database.read() as session:
        holder = holder_of(session, serving.keys.ann)
    assert holder is not None
    owner_id = holder.owner_id

    async def read_all() -> list[JobView | BaseException]:
        reader = JobReader(serving.services.database)
        asked = [reader.read(job_id, owner_id) for job_id in (*job_ids, "unknown")]
        others = [reader.read(job_ids[0], "somebody else"), reader.read(job_ids[0], None)]
        return await asyncio.gather(*asked, *others, return_exceptions=True)

    *seen, unknown, hidden, shown = asyncio.run(read_all())
    assert [view.id for view in seen if isinstance(view, JobView)] == job_ids
    assert isinstance(unknown, Problem)
    assert isinstance(hidden, Problem)
    assert isinstance(shown, JobView)
    assert shown.id == job_ids[0]
    assert looks == [33]


def test_a_job_that_can_not_be_shown_hides_no_other(
    client: TestClient, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = submitted(client), submitted(client)
    views = api.job_reader.job_views

    def failing(session: Any, jobs: Sequence[Any]) -> list[JobView]:
        if any(job.id == bad for job in jobs):
            raise ValueError("can't be shown")
        return views(session, jobs)

    monkeypatch.setattr(api.job_reader, "job_views", failing)

    async def read_both() -> list[JobView | BaseException]:
        reader = JobReader(serving.services.database)
        return await asyncio.gather(reader.read(bad, None), reader.read(good, None), return_exceptions=True)

    broken, shown = asyncio.run(read_both())
    assert isinstance(broken, ValueError)
    assert isinstance(shown, JobView)
    assert shown.id == good
    with ThreadPoolExecutor(2) as pool:
        states = list(pool.map(lambda job_id: client.get(f"/v1/jobs/{job_id}").status_code, (bad, good)))
    assert states == [500, 200]


def test_a_job_that_is_forgotten_meanwhile_is_shown_once_more(client: TestClient, serving: Serving) -> None:
    job_id = submitted(client)
    with serving.services.database.write() as session:
        jobs = list(find_all(session, [job_id]).values())
        session.execute(delete(JobRow))
        assert [view.id for view in job_views(session, jobs)] == [job_id]


def test_a_reader_goes_on_after_one_whose_client_went_away(client: TestClient, serving: Serving) -> None:
    job_id = submitted(client)

    async def read() -> JobView:
        reader = JobReader(serving.services.database)
        gone = asyncio.create_task(reader.read(job_id, None))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        return await reader.read(job_id, None)

    assert asyncio.run(read()).id == job_id


def test_polls_stay_frequent_for_who_waits_for_more_than_ends(
    client: TestClient, serving: Serving, worker: HandWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.tailer, "_RARE_POLL_SECONDS", 3600.0)
    serving.services.tailer.is_told = True
    other = waiting_for(client, serving, submitted(client))
    job_id = submitted(client)
    stream = Background(lambda: client.get(f"/v1/jobs/{job_id}/events").text)
    until(lambda: serving.services.tailer.watched_jobs == 2)
    worker.succeed(worker.start(job_id), words=2)
    assert "event: final" in str(stream.result())
    close(client, serving)
    other.result()


@pytest.mark.usefixtures("no_polls")
def test_who_waits_hears_of_a_cancel_at_once(client: TestClient, serving: Serving) -> None:
    other = waiting_for(client, serving, submitted(client))
    job_id = submitted(client)
    call = waiting_for(client, serving, job_id)
    client.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
    assert call.result() == "cancelled"
    close(client, serving)
    other.result()
