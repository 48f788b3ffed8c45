"""Whatever is killed while jobs come and go, Flower soon shows each of them as SQL has it."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acceptance.program import Program
from tests.acceptance.short_jobs import ShortJobs
from tests.acceptance.stand import Stand, standing
from tests.acceptance.victims import VICTIMS
from tests.flower_view import FlowerView, longest_disagreement, wait_until_agreed
from tests.waiting import until
from turnout.errors import ServerTrouble, ServerUnreachable
from turnout.job import Job


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    # Nothing here trains, so nobody waits for a cluster either.
    with standing(tmp_path_factory.mktemp("flower"), postgres=False, TURNOUT_H2O_URL="http://127.0.0.1:9") as stand:
        yield stand


def flower_of(program: Program) -> FlowerView:
    password = json.loads((program.home / "secrets.json").read_text())["flower_password"]
    return FlowerView(f"http://127.0.0.1:{program.flower_port}", password)


def reader(stand: Stand) -> Callable[[], list[Any]]:
    """Reads all jobs from the API, which may just be killed."""

    def read() -> list[Any]:
        try:
            return [job.record for job in stand.client.jobs()]
        except (ServerUnreachable, ServerTrouble):
            return []

    return lambda: until(read, 60, what="the list of jobs")


@pytest.fixture
def long_job(stand: Stand) -> Iterator[Job]:
    job = stand.client.submit("check_worker", {"seconds": 600}, queue="h2o")
    until(lambda: job.refresh().state == "running", 60, what="the long job")
    yield job
    job.cancel()
    assert job.wait(60).state == "cancelled"


@pytest.mark.parametrize("name", ["runner-h2o", "worker-h2o", "runner-cpu", "worker-cpu", "redis", "api", "flower"])
def test_one_part(stand: Stand, long_job: Job, name: str) -> None:
    flower, read_jobs, victim = flower_of(stand.program), reader(stand), VICTIMS[name]
    wait_until_agreed(flower, read_jobs)
    attempts = 2 if name in ("runner-h2o", "worker-h2o") else 1

    def is_over() -> bool:
        record = long_job.refresh()
        return (record.state, record.attempt) == ("running", attempts)

    with ShortJobs(stand.client, stand.ledger, name, "cpu") as short_jobs:
        short_jobs.wait_for_more(3)
        victim.kill(stand.program)
        seconds = longest_disagreement(flower, read_jobs, is_over)
        victim.wait_until_back(stand.program, stand.client)
        short_jobs.wait_for_more(4)
    short_jobs.assert_each_succeeded_once()
    tasks = wait_until_agreed(flower, read_jobs)
    assert {job.id for job in short_jobs.accepted} <= set(tasks)
    until(lambda: len(flower.workers()) == 2 and all(flower.workers().values()), what="both workers online")
    # For whoever wants to know; it is no promise.
    sys.stdout.write(f"{name}: a job was shown wrong for {seconds:.1f} s at most\n")
