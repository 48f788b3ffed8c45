"""Every process that an AutoML runs through is killed in its middle; the training goes on and ends once."""

from pathlib import Path

import pytest

from tests.acceptance.automl import left_in_h2o, story, submit_automl, wait_for_models
from tests.acceptance.program import Program, wait_until_gone, whole_tree
from tests.waiting import until
from turnout import Client
from turnout.job import Job
from turnout.records import File

WITHOUT_PLOTS = {"explain": False}


def assert_reattached(job: Job) -> None:
    """The killed attempt's training went on: one run, one leaderboard, the known result."""
    record = job.wait(180)
    assert record.state == "succeeded", record.error
    assert story(job) == [("lost", "worker_lost"), ("succeeded", "completed")]
    assert record.result is not None
    assert record.result["runs"] == 1
    board = job.leaderboard()
    assert board.complete
    assert len(board.rows) == 12
    assert board.rows[0].metrics["auc"] == pytest.approx(0.937592, abs=5e-7)


def test_a_killed_runner(program: Program, client: Client, circle: File) -> None:
    job = submit_automl(client, circle, **WITHOUT_PLOTS)
    wait_for_models(job)
    for runner in program.part("workers", "h2o").children():
        runner.kill()
    assert_reattached(job)
    until(lambda: not left_in_h2o(program), what="an empty cluster")


def test_a_killed_worker(program: Program, client: Client, circle: File) -> None:
    job = submit_automl(client, circle, **WITHOUT_PLOTS)
    wait_for_models(job)
    worker = program.part("workers", "h2o")
    runners = worker.children()
    worker.kill()
    wait_until_gone([worker, *runners])
    assert_reattached(job)
    until(lambda: not left_in_h2o(program), what="an empty cluster")


def test_the_whole_program_killed_and_started_again(circle_csv: Path, tmp_path: Path) -> None:
    program = Program(tmp_path)
    client = program.start()
    job = submit_automl(client, client.upload(circle_csv), **WITHOUT_PLOTS)
    wait_for_models(job)
    processes = whole_tree(program.process)
    assert any("java" in process.name() for process in processes)
    program.kill()
    wait_until_gone(processes)

    with program.start() as client:
        job = client.job(job.id)
        record = job.wait(240)
        assert record.state == "succeeded", record.error
        # The cluster died with the program, so the training began anew on the next one.
        assert record.result is not None
        assert record.result["runs"] == 2
        assert story(job)[-1] == ("succeeded", "completed")
        assert len(job.leaderboard().rows) == 12
    processes = whole_tree(program.process)
    assert program.end() == 0
    wait_until_gone(processes)
