"""Every process is killed in the middle of an AutoML: the training goes on where its cluster lives; where that died it
begins anew, with what is left of its time."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.claims import LEASE
from tests.acceptance.automl import left_in_h2o, story, submit_automl, wait_for_models
from tests.acceptance.once import assert_succeeded_once
from tests.acceptance.stand import Stand, standing
from tests.acceptance.victims import VICTIMS, kill
from tests.waiting import until
from turnout.job import Job
from turnout.records import File

SMALL = {"max_models": 4, "explain": False}
BUDGET_SECONDS = 600
Board = list[tuple[str, float]]
COMPLETED = ("succeeded", "completed")


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with standing(tmp_path_factory.mktemp("stand"), postgres=True) as stand:
        yield stand


@pytest.fixture(scope="module")
def table(stand: Stand, circle_csv: Path) -> File:
    return stand.client.upload(circle_csv)


@pytest.fixture(scope="module")
def undisturbed(stand: Stand, table: File) -> Board:
    job = submit_automl(stand.client, table, **SMALL)
    assert len(assert_succeeded_once(job, 240)) == 1
    board = board_of(job)
    # The four, and two ensembles of them.
    assert len(board) == 6
    return board


def training(stand: Stand, table: File, **changes: Any) -> Job:
    """An AutoML that has its first model, and more to come."""
    job = submit_automl(stand.client, table, **{**SMALL, **changes})
    wait_for_models(job)
    return job


def assert_trained(stand: Stand, job: Job, undisturbed: Board, attempts: list[tuple[str, str]], runs: int) -> None:
    """What came out is what comes out when nothing is killed."""
    assert_succeeded_once(job, 240)
    assert story(job) == attempts
    assert job.record.result is not None
    assert job.record.result["runs"] == runs
    assert board_of(job) == undisturbed
    until(lambda: not left_in_h2o(stand.program), 60, what="an empty cluster")


def board_of(job: Job) -> Board:
    board = job.leaderboard()
    assert board.complete
    return [(row.algo, round(row.metrics["auc"] or 0, 6)) for row in board.rows]


@pytest.mark.parametrize("name", ["worker-cpu", "redis", "api", "flower"])
def test_what_the_training_does_not_run_through(stand: Stand, table: File, undisturbed: Board, name: str) -> None:
    job = training(stand, table)
    kill(stand.program, name)
    VICTIMS[name].wait_until_back(stand.program, stand.client)
    assert_trained(stand, job, undisturbed, [COMPLETED], runs=1)


def test_the_database_server(stand: Stand, table: File, undisturbed: Board) -> None:
    job = training(stand, table)
    stand.kill_database()
    assert_trained(stand, job, undisturbed, [COMPLETED], runs=1)


@pytest.mark.parametrize("name", ["runner-h2o", "worker-h2o"])
def test_what_watches_the_training(stand: Stand, table: File, undisturbed: Board, name: str) -> None:
    job = training(stand, table)
    kill(stand.program, name)
    VICTIMS[name].wait_until_back(stand.program, stand.client)
    assert_trained(stand, job, undisturbed, [("lost", "worker_lost"), COMPLETED], runs=1)
    assert any("Attached again to run 1" in line for line in lines_of(job))


@pytest.mark.parametrize("name", ["jvm", "keeper"])
def test_what_trains(stand: Stand, table: File, undisturbed: Board, name: str) -> None:
    job = training(stand, table, max_runtime_secs=BUDGET_SECONDS)
    until(lambda: "model.zip" in artifacts_of(job), what="a saved model")
    kill(stand.program, name)
    VICTIMS[name].wait_until_back(stand.program, stand.client)
    assert_trained(stand, job, undisturbed, [("lost", "cluster_lost"), COMPLETED], runs=2)
    assert 0 < budget_of_run_2(job) < BUDGET_SECONDS
    assert {"model_run_1.zip", "leaderboard_run_1.json", "test_ranking.json"} <= artifacts_of(job)


def artifacts_of(job: Job) -> set[str]:
    return {artifact.name for artifact in job.artifacts()}


def budget_of_run_2(job: Job) -> float:
    """As the job was told when it began."""
    (found,) = re.findall(r"run 2 begins with ([\d.]+) of", "\n".join(lines_of(job)))
    return float(found)


def lines_of(job: Job) -> list[str]:
    return [event.data["message"] for event in job.events() if event.type == "log"]


def test_an_outage_of_the_database_longer_than_a_lease_costs_no_job(stand: Stand, table: File) -> None:
    server = stand.server
    assert server is not None
    entry = {"ledger": str(stand.ledger.path), "entry": "outage", "steps": 200}
    jobs = [stand.client.submit("keep_ledger", entry), training(stand, table, max_models=10)]
    until(stand.ledger.begun, what="a running short job")
    runner = VICTIMS["runner-h2o"].find(stand.program)
    server.kill()
    since = time.monotonic()
    until(lambda: time.monotonic() - since > 1.5 * LEASE.total_seconds(), 60, what="lapsed leases")
    server.start()
    for job in jobs:
        assert len(assert_succeeded_once(job, 240)) == 1
    stand.ledger.assert_kept_once()
    assert len(stand.ledger.notes()) == 2
    assert VICTIMS["runner-h2o"].find(stand.program) == runner
