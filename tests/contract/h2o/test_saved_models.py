"""The best model outlives the cluster that trained it."""

import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.contracts import Document
from tasks.errors import JobCancelled, JobStoppedEmpty, StorageError
from tests.contract.h2o.conftest import MakeJob, left_in, long_spec, quick_spec, train
from tests.fakes.job_context import FakeJobContext
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.run_state import RunState, SavedModel
from workers.runtimes.h2o_automl.runtime import H2OAutoMLRuntime

# H2O trains nothing where all rows are in the same fold.
ONE_FOLD: dict[str, object] = {"fold_column": "fold", "nfolds": -1}
TREES: dict[str, object] = {"include_algos": ["GBM", "DRF"], "max_models": 2, "nfolds": 3}


@dataclass(frozen=True)
class LostRun:
    """The job of a first attempt whose cluster died once its best model was saved, and its checkpoint."""

    job: FakeJobContext
    checkpoint: Document

    @property
    def saved(self) -> SavedModel:
        return RunState.from_document(self.checkpoint).saved[0]

    def next_attempt(self, make_job: MakeJob) -> FakeJobContext:
        second = make_job(self.job.job_id, 2, self.checkpoint)
        second.earlier_artifacts = {name: path for name, (path, _) in self.job.artifacts.items()}
        return second


@pytest.fixture(autouse=True, scope="module")
def one_fold(tmp_path_factory: pytest.TempPathFactory, tables: dict[str, Path]) -> None:
    header, *lines = tables["circle"].read_text().splitlines()
    tables["one_fold"] = tmp_path_factory.mktemp("tables") / "one_fold.csv"
    tables["one_fold"].write_text("\n".join([f"{header},fold", *(f"{line},1" for line in lines)]) + "\n")


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory, tables: dict[str, Path], h2o: H2OAutoMLRuntime) -> LostRun:
    job = FakeJobContext(tmp_path_factory.mktemp("lost"), tables, job_id=uuid.uuid4().hex)

    def cancel(document: Document) -> None:
        if document["saved"]:
            job.request("cancel")

    job.on_checkpoint = cancel
    with pytest.raises(JobCancelled):
        train(long_spec(include_algos=["GBM"], exclude_algos=None), job, h2o)
    assert job.saved_checkpoint is not None
    h2o.clean_up(job.saved_checkpoint)
    return LostRun(job, {**job.saved_checkpoint, "cluster_id": "1234"})


def rows_of(job: FakeJobContext, name: str) -> list[dict[str, object]]:
    table = job.artifact_json(name)
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def test_the_best_so_far_is_saved_while_it_trains(lost: LostRun) -> None:
    assert zipfile.is_zipfile(lost.job.artifacts["model.zip"][0])
    assert lost.saved.model_id in [row["model_id"] for row in rows_of(lost.job, "leaderboard.json")]
    assert sum(RunState.from_document(lost.checkpoint).rows.values()) == 1000


def test_models_of_all_runs_are_ranked_on_the_same_rows(
    lost: LostRun, make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient
) -> None:
    saved, second = lost.saved, lost.next_attempt(make_job)
    # A linear model can't tell one circle from the other, so the saved one is far better.
    result = train(quick_spec(), second, h2o)
    assert (result.runs, result.leader, result.leader_algo) == (2, saved.model_id, "GBM")
    ranked = rows_of(second, "test_ranking.json")
    assert [(row["run"], row["algo"]) for row in ranked] == [(1, "GBM"), (2, "GLM")]
    assert ranked[0]["auc"] == result.test_metrics["auc"]
    assert any("Run 1 made the best" in warning for warning in result.warnings)
    assert second.artifacts["model.zip"][0].read_bytes() == lost.job.artifacts["model.zip"][0].read_bytes()
    assert {"model_run_1.zip", "leaderboard_run_1.json"} <= set(second.artifacts)
    assert second.saved_checkpoint is not None
    h2o.clean_up(second.saved_checkpoint)
    assert saved.model_id not in left_in(client)
    assert left_in(client, lost.job.job_id) == []


def test_a_saved_model_is_explained_as_any_other(lost: LostRun, make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    second = lost.next_attempt(make_job)
    result = train(quick_spec(explain=True), second, h2o)
    assert result.leader_algo == "GBM"
    assert {"confusion_matrix", "roc", "partial_dependence"} <= set(result.artifacts)
    assert "partial_dependence_x1" not in result.explanation_missing
    page = second.artifacts["report.html"][0].read_text()
    assert "Best first by auc. Of a run whose cluster was lost" in page


def test_a_better_new_model_is_the_result(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    first = make_job()
    train(quick_spec(), first, h2o)
    assert first.saved_checkpoint is not None
    state = RunState.from_document(first.saved_checkpoint)
    glm = rows_of(first, "leaderboard.json")[0]["model_id"]
    saved = {"run": 1, "model_id": glm, "algo": "GLM", "artifact": "model.zip", "sort_metric": "auc", "score": 0.4}
    h2o.clean_up(first.saved_checkpoint)
    second = LostRun(first, {**state.document(), "cluster_id": "1234", "saved": [saved]}).next_attempt(make_job)
    result = train(quick_spec(**TREES), second, h2o)
    assert result.leader != glm
    assert [row["run"] for row in rows_of(second, "test_ranking.json")] == [2, 2, 1]
    assert result.models == 3


def test_an_attempt_that_died_while_ranking_ranks_again(
    lost: LostRun, make_job: MakeJob, h2o: H2OAutoMLRuntime
) -> None:
    second = lost.next_attempt(make_job)
    one = train(quick_spec(), second, h2o)
    assert second.saved_checkpoint is not None
    third = make_job(lost.job.job_id, 3, second.saved_checkpoint)
    third.earlier_artifacts = {name: path for name, (path, _) in second.artifacts.items()}
    two = train(quick_spec(), third, h2o)
    assert (two.leader, two.test_metrics) == (one.leader, one.test_metrics)


def test_a_stop_before_the_next_model_keeps_the_saved_one(
    lost: LostRun, make_job: MakeJob, h2o: H2OAutoMLRuntime
) -> None:
    saved, second = lost.saved, lost.next_attempt(make_job)
    second.request("stop")
    result = train(quick_spec(), second, h2o)
    assert (result.leader, result.stopped_early, result.test_metrics) == (saved.model_id, True, {})
    assert "was not tested" in result.warnings[0]


def test_a_stop_without_any_model_has_nothing_to_keep(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    job = make_job()
    elsewhere = RunState(job.job_id, "y", 1, "1234", phase="training", job_key="gone")
    second = make_job(job.job_id, 2, elsewhere.document())
    second.request("stop")
    with pytest.raises(JobStoppedEmpty):
        train(quick_spec(), second, h2o)


def test_a_run_without_models_leaves_the_saved_one(lost: LostRun, make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    second = lost.next_attempt(make_job)
    result = train(quick_spec("one_fold", **ONE_FOLD), second, h2o)
    assert result.leader == lost.saved.model_id
    assert any("Run 2 trained no model" in warning for warning in result.warnings)


def test_a_model_that_left_the_store_is_left_out(lost: LostRun, make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    second = make_job(lost.job.job_id, 2, lost.checkpoint)
    result = train(quick_spec(), second, h2o)
    assert result.leader_algo == "GLM"
    assert any("no longer in the store" in line for _, line in second.lines)


def test_saved_models_that_are_all_damaged_are_named(
    lost: LostRun, make_job: MakeJob, h2o: H2OAutoMLRuntime, tmp_path: Path
) -> None:
    second = lost.next_attempt(make_job)
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"no zip")
    second.earlier_artifacts["model.zip"] = broken
    result = train(quick_spec(), second, h2o)
    assert result.leader_algo == "GLM"
    assert any("can't be loaded again" in line for _, line in second.lines)
    assert second.saved_checkpoint is not None
    h2o.clean_up(second.saved_checkpoint)
    third = lost.next_attempt(make_job)
    third.earlier_artifacts["model.zip"] = broken
    with pytest.raises(StorageError, match="can't be read again"):
        train(quick_spec("one_fold", **ONE_FOLD), third, h2o)
