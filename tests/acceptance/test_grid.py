"""A grid from the command line to predictions, with its runner killed on the way."""

import subprocess
from pathlib import Path

import pytest

from tests.acceptance.automl import left_in_h2o, story, wait_for_models
from tests.acceptance.program import TURNOUT, Program
from tests.acceptance.victims import kill_runners
from tests.waiting import until
from turnout import Client
from turnout.errors import Invalid
from turnout.records import File

GRID = ["--target", "y", "--algo", "GBM", "--parameters", "ntrees=150", "--parameters", "nfolds=3", "--parameters"]
GRID += ["score_tree_interval=10", "--hyper_params", "max_depth=[2,3,4]", "--hyper_params", "learn_rate=[0.05,0.2]"]


def turnout(program: Program, *arguments: str | Path) -> str:
    told = {"TURNOUT_URL": program.url, "TURNOUT_API_KEY": (program.home / "api-key").read_text().strip()}
    done = subprocess.run(
        [TURNOUT, *arguments], env={**program.environment, **told}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_grid_goes_on_when_its_runner_is_killed_and_its_best_model_predicts(
    program: Program, client: Client, circle_csv: Path, tmp_path: Path
) -> None:
    told = turnout(program, "submit", "train_h2o_model", "--dataset", circle_csv, *GRID)
    job = client.job(told.strip())
    wait_for_models(job)
    kill_runners(program, "h2o")
    record = job.wait(240)
    assert record.state == "succeeded", record.error
    assert story(job)[-1] == ("succeeded", "completed")
    assert len(story(job)) == 2
    assert record.result is not None
    assert (record.result["runs"], record.result["models"], record.result["leader_algo"]) == (1, 6, "GBM")
    rows = job.leaderboard().rows
    assert [row.algo for row in rows] == ["GBM"] * 6
    assert rows[0].model_id == record.result["leader"]
    assert record.result["test_metrics"]["auc"] > 0.85
    assert rows[0].model_id in turnout(program, "leaderboard", job.id)
    page = job.download("report.html", tmp_path / "report.html").read_text()
    assert "a grid of GBM" in page
    scored = client.submit(
        "score_table",
        {"model": {"job": job.id, "artifact": "model.zip"}, "rows": [{"x1": 0.0, "x2": 0.1}, {"x1": 1.0, "x2": 0.9}]},
    ).wait(120)
    assert scored.result is not None, scored.error
    assert [one["predict"] for one in scored.result["predictions"]] == ["1", "0"]
    until(lambda: not left_in_h2o(program), what="an empty cluster")


def test_the_help_lists_each_algorithm_s_parameters(program: Program) -> None:
    shown = turnout(program, "submit", "train_h2o_model", "--help")
    assert "parameters with algo GBM: nfolds=0" in shown
    assert "max_depth*=5" in shown


def test_a_parameter_that_is_none_is_refused_by_name(client: Client, circle: File) -> None:
    spec = {"dataset": circle, "target": "y", "algo": "GBM", "parameters": {"ntrees": 0, "tries": 3}}
    with pytest.raises(Invalid) as caught:
        client.submit("train_h2o_model", spec)
    assert {error.field for error in caught.value.errors} == {"spec.parameters.ntrees", "spec.parameters.tries"}
