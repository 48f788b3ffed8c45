"""The whole program is killed in the middle of an AutoML; started again, it trains anew and ends once. For single
processes see ``test_kills_amid_automl.py``."""

from pathlib import Path

from tests.acceptance.automl import story, submit_automl, wait_for_models
from tests.acceptance.program import Program, wait_until_gone, whole_tree

WITHOUT_PLOTS = {"explain": False}


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
