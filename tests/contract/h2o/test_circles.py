"""The source's example, row for row."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.kinds.train_automl import AutoMLResult, TrainAutoML
from tests.circle_result import LEADERBOARD
from tests.contract.h2o.conftest import train
from tests.fakes.job_context import FakeJobContext
from workers.runtimes.h2o_automl.runtime import H2OAutoMLRuntime
from workers.runtimes.h2o_automl.tables import short_model

SPEC = TrainAutoML.model_validate(
    {
        "dataset": {"file": "circle"},
        "target": "y",
        "features": ["x1", "x2"],
        "problem": "classification",
        "split": {"ratios": [0.6, 0.2, 0.2], "seed": 133},
        "max_models": 10,
        "max_runtime_secs": 0,
        "seed": 2,
    }
)


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, tables: dict[str, Path], h2o: H2OAutoMLRuntime
) -> tuple[FakeJobContext, AutoMLResult]:
    job = FakeJobContext(tmp_path_factory.mktemp("circles"), tables, job_id="c1" * 16)
    result = train(SPEC, job, h2o)
    assert job.saved_checkpoint is not None
    h2o.clean_up(job.saved_checkpoint)
    return job, result


def test_the_rows_are_split_as_in_the_source(trained: tuple[FakeJobContext, AutoMLResult]) -> None:
    assert trained[1].rows == {"train": 607, "validation": 181, "test": 212}


def test_the_leaderboard_is_the_sources(trained: tuple[FakeJobContext, AutoMLResult]) -> None:
    board = trained[0].boards[-1]
    assert board.complete
    assert board.sort_metric == "auc"
    assert [(short_model(e.model_id), round(e.metrics["auc"] or 0, 6)) for e in board.entries] == LEADERBOARD
    assert list(board.entries[0].metrics) == ["auc", "logloss", "aucpr", "mean_per_class_error", "rmse", "mse"]


def test_the_leader_is_tested_as_in_the_source(trained: tuple[FakeJobContext, AutoMLResult]) -> None:
    result = trained[1]
    assert result.leader == trained[0].boards[-1].entries[0].model_id
    assert result.confusion_matrix is not None
    assert result.confusion_matrix.labels == ["0", "1"]
    assert result.confusion_matrix.matrix == [[104, 10], [10, 88]]
    assert result.test_metrics["auc"] == pytest.approx(0.962764, abs=1e-6)


def test_everything_is_explained_as_table_and_picture(trained: tuple[FakeJobContext, AutoMLResult]) -> None:
    job, result = trained
    assert result.explanation_missing == []
    parts = ["confusion_matrix", "roc", "variable_importance", "model_correlation"]
    parts += ["partial_dependence_x1", "partial_dependence_x2"]
    for part in parts:
        assert job.artifacts[f"{part}.json"][1] == "application/json"
        assert job.artifacts[f"{part}.png"][0].read_bytes().startswith(b"\x89PNG")
    named = {name for names in result.artifacts.values() for name in names} | set(result.kept_models.values())
    assert named == set(job.artifacts)
    assert len(result.kept_models) == 2


def test_tables_hold_what_the_pictures_show(trained: tuple[FakeJobContext, AutoMLResult]) -> None:
    job, _ = trained
    assert job.artifact_json("confusion_matrix.json")["rows"] == [["0", 104, 10], ["1", 10, 88]]
    agreement = job.artifact_json("model_correlation.json")["rows"]
    assert len(agreement) == 12
    assert all(row[index + 1] == 1.0 for index, row in enumerate(agreement))
    dependence = job.artifact_json("partial_dependence_x1.json")
    assert len(dependence["rows"]) == 20
    assert all(0 <= row[2] <= 1 for row in dependence["rows"])


def test_the_ensemble_has_shap_values_of_its_own(trained: tuple[FakeJobContext, AutoMLResult]) -> None:
    job, result = trained
    table = job.artifact_json("shap_summary.json")
    assert table["title"] == f"SHAP summary of {short_model(result.leader)}"
    assert "H2O's SHAP against" in table["note"]
    assert {row[0] for row in table["rows"]} == {"x1", "x2"}


def test_every_table_is_parquet_too(trained: tuple[FakeJobContext, AutoMLResult]) -> None:
    job, result = trained
    kept = {name: pq.read_table(path) for name, (path, _) in job.artifacts.items() if name.endswith(".parquet")}
    explained = {role for role, names in result.artifacts.items() if any(name.endswith(".png") for name in names)}
    assert set(kept) == {f"tables.{role}.parquet" for role in explained} | {"leaderboard.parquet"}
    assert all(table.num_rows for table in kept.values())
    board = job.artifact_json("leaderboard.json")
    assert kept["leaderboard.parquet"].column_names == board["columns"]
    assert list(map(list, zip(*kept["leaderboard.parquet"].to_pydict().values(), strict=True))) == board["rows"]
    assert set(kept["tables.partial_dependence.parquet"]["feature"].to_pylist()) == {"x1", "x2"}


def test_the_model_is_a_mojo(trained: tuple[FakeJobContext, AutoMLResult]) -> None:
    path, media_type = trained[0].artifacts["model.zip"]
    assert media_type == "application/zip"
    assert path.read_bytes().startswith(b"PK")


def test_the_run_is_checkpointed_before_it_starts(trained: tuple[FakeJobContext, AutoMLResult]) -> None:
    phases = [saved["phase"] for saved in trained[0].checkpoints]
    assert phases[:3] == ["preparing", "starting", "training"]
    assert phases[-1] == "trained"
    assert trained[0].checkpoints[1]["job_key"] == ""
    assert trained[0].checkpoints[2]["job_key"]


def test_the_training_is_followed_live(trained: tuple[FakeJobContext, AutoMLResult]) -> None:
    job, _ = trained
    fractions = [fraction for fraction, _, _ in job.reports if fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    sizes = [len(board.entries) for board in job.boards]
    assert sizes == sorted(sizes)
    assert sizes[0] < 12
    assert any("starting XGBoost_1" in line for _, line in job.lines)
    assert job.guarded > 10
