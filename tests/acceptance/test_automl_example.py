"""The example, from upload to leaderboard, model and plots, row for row."""

import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.acceptance.automl import left_in_h2o, story, submit_automl
from tests.acceptance.program import Program
from tests.circle_result import LEADERBOARD
from tests.waiting import until
from turnout import Client
from turnout.job import Job
from turnout.records import File

METRICS = ["auc", "logloss", "aucpr", "mean_per_class_error", "rmse", "mse"]


def test_the_example_gives_its_known_result(program: Program, client: Client, circle: File, tmp_path: Path) -> None:
    job = submit_automl(client, circle)
    seen = [event.type for event in job.stream()]
    record = job.wait(10)

    assert (record.state, record.reason) == ("succeeded", "completed")
    assert story(job) == [("succeeded", "completed")]
    assert record.result is not None
    assert record.result["rows"] == {"train": 607, "validation": 181, "test": 212}
    assert record.result["confusion_matrix"]["matrix"] == [[104, 10], [10, 88]]
    assert record.result["explanation_missing"] == []

    board = job.leaderboard()
    assert board.complete
    assert len(board.rows) == len(LEADERBOARD)
    for row, (name, auc) in zip(board.rows, LEADERBOARD, strict=True):
        assert row.model_id.startswith(name + "_")
        assert row.metrics["auc"] == pytest.approx(auc, abs=5e-7)
        assert list(row.metrics) == METRICS

    assert {"state", "progress", "log", "leaderboard", "artifact", "final"} <= set(seen)
    assert seen[-1] == "final"
    assert_artifacts(job.artifacts(), [job.download(artifact.name, tmp_path) for artifact in job.artifacts()])
    until(lambda: not left_in_h2o(program), what="an empty cluster")
    assert_scores(client, job, circle, tmp_path)


def assert_scores(client: Client, trained: Job, table: File, directory: Path) -> None:
    """The winner predicts new rows, and a whole table, without the cluster."""
    model = {"job": trained.id, "artifact": "model.zip"}
    rows = [{"x1": 0.0, "x2": 0.0}, {"x1": 1.0, "x2": 0.0}, {"x1": None, "x2": 0.1}]
    scored = client.submit("score_table", {"model": model, "rows": rows}).wait(120)
    assert scored.state == "succeeded", scored.error
    assert scored.result is not None
    inside, outside, _unknown = scored.result["predictions"]
    assert (inside["predict"], outside["predict"]) == ("1", "0")
    assert inside["probabilities"]["1"] > 0.5 > outside["probabilities"]["1"]

    job = client.submit("score_table", {"model": model, "dataset": table, "format": "parquet"})
    assert job.wait(120).state == "succeeded", job.record.error
    assert pq.read_table(job.download("predictions.parquet", directory)).num_rows == 1000


def assert_artifacts(artifacts: list, files: list[Path]) -> None:  # type: ignore[type-arg]
    names = {artifact.name for artifact in artifacts}
    for plot in (
        "confusion_matrix",
        "roc",
        "precision_recall",
        "confusion_by_threshold",
        "gains_lift",
        "learning_curve",
        "shap_summary",
        "pareto_front",
        "variable_importance",
        "model_correlation",
        "partial_dependence_x1",
        "partial_dependence_models_x1",
        "ice_x2",
    ):
        assert {f"{plot}.png", f"{plot}.json"} <= names
    assert {"model.zip", "event_log.json", "partial_dependence_x2.png"} <= names
    assert {"leaderboard.csv", "leaderboard.parquet", "tables.ice.parquet"} <= names
    for file in files:
        content = file.read_bytes()
        if file.suffix == ".png":
            assert content.startswith(b"\x89PNG")
        if file.name == "report.html":
            assert content.count(b"data:image/png;base64,") == len([name for name in names if name.endswith(".png")])
        if file.name == "model.zip":
            assert "model.ini" in zipfile.ZipFile(file).namelist()
