"""Single algorithms and grids on the real cluster: each trains, is ranked, tested, kept, and leaves nothing."""

import json
import zipfile
from dataclasses import replace

import pytest

from tasks.errors import InvalidInput, JobCancelled
from tasks.h2o.algorithms import ALGORITHMS, TAKES
from tasks.kinds.score_table import Scores, ScoreTable
from tasks.kinds.score_table import run as score
from tasks.kinds.train_h2o_model import H2OModelResult, TrainH2OModel, run
from tasks.scoring import Prediction
from tests.contract.h2o.builder_table import TABLE, table_of
from tests.contract.h2o.conftest import MakeJob, ask, left_in
from tests.fakes.job_context import FakeJobContext
from workers.runtimes.h2o_automl.client import H2OClient, path_part
from workers.runtimes.h2o_automl.frames import read_job
from workers.runtimes.h2o_automl.run_state import RunState, SavedModel, Training
from workers.runtimes.h2o_automl.runtime import H2OAutoMLRuntime
from workers.runtimes.h2o_mojo import create
from workers.runtimes.h2o_mojo.runtime import MojoRuntime


@pytest.fixture(scope="module")
def scorer() -> MojoRuntime:
    return create({"heap": "512m"})


def spec_of(algo: str, dataset: str = "circle", target: str | None = "y", **options: object) -> TrainH2OModel:
    whole = {"dataset": {"file": dataset}, "target": target, "algo": algo, "explain": False}
    return TrainH2OModel.model_validate({**whole, **options})


def train(spec: TrainH2OModel, job: FakeJobContext, h2o: H2OAutoMLRuntime) -> H2OModelResult:
    result = run.run(spec, job, h2o)
    assert isinstance(result, H2OModelResult)
    return result


def test_the_parameters_are_those_of_this_version(client: H2OClient) -> None:
    assert json.loads(TABLE.read_text()) == table_of(client), (
        "H2O's parameters differ from the declared ones: python -P -m tests.contract.h2o.builder_table writes them anew"
    )


@pytest.mark.parametrize("option", TAKES)
def test_the_columns_that_an_algorithm_takes_are_h2o_s(client: H2OClient, option: str) -> None:
    taking = {
        algo
        for algo, builder in ALGORITHMS.items()
        for field in client.get(f"/3/ModelBuilders/{builder}")["model_builders"][builder]["parameters"]
        if field["name"] == option
    }
    assert TAKES[option] == taking


SMALL: dict[str, dict[str, object]] = {
    "GLM": {"alpha": [0.5], "nfolds": 2},
    "GAM": {"gam_columns": [["x1"], ["x2"]], "num_knots": [5, 5]},
    "NaiveBayes": {"laplace": 1.0, "nfolds": 2},
    "DRF": {"ntrees": 5, "max_depth": 4},
    "XRT": {"ntrees": 5, "max_depth": 4},
    "GBM": {"ntrees": 5, "monotone_constraints": {"x1": 1}},
    "XGBoost": {"ntrees": 5, "eta": 0.2},
    "DeepLearning": {"hidden": [5], "epochs": 1, "seed": 1},
    "RuleFit": {"rule_generation_ntrees": 5, "seed": 1},
}


def predictions(job: FakeJobContext, scorer: MojoRuntime, rows: list[dict[str, float | None]]) -> list[Prediction]:
    """What the job's kept model says without the cluster."""
    asked = ScoreTable.model_validate({"model": {"job": "j", "artifact": "model.zip"}, "rows": rows})
    inputs = {"model.zip": job.artifacts["model.zip"][0]}
    found = score.run(asked, FakeJobContext(job.scratch / "scoring", inputs), scorer)
    assert isinstance(found, Scores)
    assert found.predictions is not None
    return found.predictions


@pytest.mark.parametrize("algo", SMALL)
def test_each_algorithm_is_trained_ranked_and_tested(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient, scorer: MojoRuntime, algo: str
) -> None:
    job = make_job()
    result = train(spec_of(algo, parameters=SMALL[algo]), job, h2o)
    assert (result.leader_algo, result.models, result.sort_metric, result.runs) == (algo, 1, "auc", 1)
    assert {"auc", "logloss", "accuracy"} <= set(result.test_metrics)
    assert job.boards[-1].complete
    assert job.boards[-1].entries[0].metrics["auc"] is not None
    actual = {
        parameter["name"]: parameter["actual_value"]
        for parameter in client.get(f"/3/Models/{path_part(result.leader)}")["models"][0]["parameters"]
    }
    if algo == "XRT":
        assert actual["histogram_type"] == "Random"
    if algo == "NaiveBayes":
        assert "no MOJO of NaiveBayes" in result.warnings[0]
        assert "model.zip" not in job.artifacts
        assert "class" in job.artifacts["model.java"][0].read_text()
    elif algo == "GAM":
        assert "score_table can't use this model" in result.warnings[0]
        with pytest.raises(InvalidInput, match="splines"):
            predictions(job, scorer, [{"x1": 0.1, "x2": -0.2}])
    else:
        assert result.warnings == []
        (one,) = predictions(job, scorer, [{"x1": 0.1, "x2": -0.2}])
        assert one.probabilities is not None
        assert sum(one.probabilities.values()) == pytest.approx(1)
    assert job.saved_checkpoint is not None
    h2o.clean_up(job.saved_checkpoint)
    assert left_in(client) == []


def test_regression_is_ranked_by_its_error_and_tested(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    job = make_job()
    spec = spec_of("GLM", "diabetes", "progression", parameters={"family": "gaussian", "nfolds": 3}, explain=True)
    result = train(spec, job, h2o)
    assert (result.problem, result.sort_metric) == ("regression", "rmse")
    assert {"rmse", "mae", "r2"} <= set(result.test_metrics)
    assert result.explanation_missing == []
    assert {"residuals", "partial_dependence", "report"} <= set(result.artifacts)
    page = job.artifacts["report.html"][0].read_text()
    assert "A regression trained with GLM." in page


WITHOUT_TARGET: dict[str, tuple[dict[str, object], set[str], str]] = {
    "KMeans": ({"k": 3, "seed": 1}, {"tot_withinss", "betweenss", "totss"}, "clusters"),
    "PCA": ({"k": 2, "transform": "STANDARDIZE"}, set(), "principal_components"),
    "IsolationForest": ({"ntrees": 10, "seed": 1}, {"mean_score", "mean_normalized_score"}, "anomaly_scores"),
    "ExtendedIsolationForest": ({"ntrees": 10, "seed": 1}, {"mean_score", "mean_normalized_score"}, "anomaly_scores"),
}


@pytest.mark.parametrize("algo", WITHOUT_TARGET)
def test_without_a_target_there_are_metrics_a_model_and_an_explanation(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient, scorer: MojoRuntime, algo: str
) -> None:
    parameters, metrics, part = WITHOUT_TARGET[algo]
    job = make_job()
    spec = spec_of(algo, target=None, features=["x1", "x2"], parameters=parameters, explain=True)
    result = train(spec, job, h2o)
    assert (result.problem, result.leader_algo, result.models) == ("unsupervised", algo, 1)
    assert set(result.test_metrics) == metrics
    assert set(job.boards[-1].entries[0].metrics) == (metrics or {"explained_variance"})
    assert result.explanation_missing == []
    assert job.artifacts[f"{part}.png"][0].read_bytes().startswith(b"\x89PNG")
    assert f"tables.{part}.parquet" in job.artifacts
    rows = job.artifact_json(f"{part}.json")["rows"]
    if algo == "KMeans":
        assert sum(row[1] for row in rows) == result.rows["test"]
    asked: list[dict[str, float | None]] = [{"x1": 0.1, "x2": -0.2}, {"x1": 9.0, "x2": None}]
    if algo == "PCA":
        assert "score_table can't use this model" in result.warnings[0]
        with pytest.raises(InvalidInput, match="DimReduction"):
            predictions(job, scorer, asked)
    else:
        near, far = predictions(job, scorer, asked)
        assert (near.probabilities, far.probabilities) == (None, None)
        assert near.predict != far.predict
    assert job.saved_checkpoint is not None
    h2o.clean_up(job.saved_checkpoint)
    assert left_in(client) == []


GRID: dict[str, object] = {
    "parameters": {"ntrees": 4, "seed": 1, "nfolds": 2},
    "hyper_params": {"max_depth": [2, 4], "learn_rate": [0.1, 0.3]},
}


def test_a_cartesian_grid_trains_every_combination(make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient) -> None:
    job = make_job()
    result = train(spec_of("GBM", **GRID, explain=True), job, h2o)
    assert (result.models, result.leader_algo, result.sort_metric) == (4, "GBM", "auc")
    assert result.warnings == []
    assert result.explanation_missing == []
    scores = [entry.metrics["auc"] for entry in job.boards[-1].entries]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == client_auc(client, result.leader)
    trained = [line for _level, line in job.lines if line.startswith("Trained")]
    assert len(trained) == 4
    assert "with " in trained[0]
    assert "max_depth" in trained[0]
    assert any("of 4 models trained" in message for _, message, _ in job.reports)
    assert {"variable_importance", "model_correlation", "partial_dependence_models"} <= set(result.artifacts)
    assert "trained with a grid of GBM." in job.artifacts["report.html"][0].read_text()
    assert job.saved_checkpoint is not None
    # What an attempt after a killed runner does.
    again = make_job(job.job_id, 2, {**job.saved_checkpoint, "phase": "starting", "job_key": ""})
    assert train(spec_of("GBM", **GRID), again, h2o).leader == result.leader
    assert any("Attached again to run 1 of the grid" in line for _, line in again.lines)
    h2o.clean_up(job.saved_checkpoint)
    assert left_in(client) == []


def client_auc(client: H2OClient, model_id: str) -> float:
    output = client.get(f"/3/Models/{path_part(model_id)}")["models"][0]["output"]
    auc: float = output["cross_validation_metrics"]["AUC"]
    return auc


def test_a_random_grid_heeds_its_limits_and_validation_rows(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    job = make_job()
    spec = spec_of(
        "GLM",
        "diabetes",
        "progression",
        hyper_params={"alpha": [0.0, 0.5, [1.0]], "lambda": [0.001, 0.1, 10.0]},
        search_criteria={"strategy": "RandomDiscrete", "max_models": 3, "seed": 1, "max_runtime_secs": 60},
        split={"ratios": [0.6, 0.2, 0.2]},
        sort_metric="MAE",
    )
    result = train(spec, job, h2o)
    assert (result.models, result.sort_metric, result.runs) == (3, "mae", 1)
    assert "measured on the validation rows" in job.artifact_json("leaderboard.json")["note"]
    assert result.warnings == []


LONG_GRID: dict[str, object] = {
    "parameters": {"seed": 1, "score_tree_interval": 50},
    "hyper_params": {"ntrees": [3, *range(2000, 2200)]},
}


def test_stopping_a_grid_keeps_the_best_so_far(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    job = make_job()
    ask(job, "stop")
    result = train(spec_of("GBM", **LONG_GRID), job, h2o)
    assert result.stopped_early
    assert 1 <= result.models < 20
    assert "model.zip" in job.artifacts


def test_cancelling_a_grid_ends_it_in_the_cluster(make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient) -> None:
    job = make_job()
    ask(job, "cancel")
    with pytest.raises(JobCancelled):
        train(spec_of("GBM", **LONG_GRID), job, h2o)
    assert job.saved_checkpoint is not None
    assert read_job(client, str(job.saved_checkpoint["job_key"]))["status"] == "CANCELLED"
    h2o.clean_up(job.saved_checkpoint)
    assert left_in(client) == []


def test_stopping_one_model_keeps_the_trees_so_far(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    job = make_job()
    ask(job, "stop")
    result = train(spec_of("GBM", parameters={"ntrees": 100_000, "score_tree_interval": 20}), job, h2o)
    assert (result.stopped_early, result.models) == (True, 1)
    assert zipfile.is_zipfile(job.artifacts["model.zip"][0])
    assert not [line for level, line in job.lines if level != "info"]


def test_a_lost_grid_is_trained_anew_and_ranked_with_what_was_saved(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    first = make_job()
    one = train(spec_of("GBM", parameters={"ntrees": 20, "seed": 1}), first, h2o)
    assert first.saved_checkpoint is not None
    state = RunState.from_document(first.saved_checkpoint)
    saved = SavedModel(1, one.leader, "GBM", "model.zip", "auc", 0.9)
    grid = Training("grid", "GBM", "AUTO")
    elsewhere = replace(state, cluster_id="1234", saved=(saved,), phase="training", training=grid)
    h2o.clean_up(first.saved_checkpoint)
    second = make_job(first.job_id, 2, elsewhere.document())
    second.earlier_artifacts = {name: path for name, (path, _) in first.artifacts.items()}
    # A single tree that may only look once is worse than twenty.
    spec = spec_of("GBM", parameters={"ntrees": 1, "max_depth": 1}, hyper_params={"seed": [1, 2]})
    result = train(spec, second, h2o)
    assert (result.runs, result.leader) == (2, one.leader)
    assert {row[0] for row in second.artifact_json("test_ranking.json")["rows"]} == {1, 2}


def test_what_h2o_says_of_a_model_that_fails_is_the_reason(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    with pytest.raises(InvalidInput, match=r"(?i)mtries"):
        train(spec_of("DRF", parameters={"mtries": 7, "ntrees": 1}), make_job(), h2o)
    with pytest.raises(InvalidInput, match=r"(?i)mtries"):
        train(spec_of("DRF", parameters={"ntrees": 1}, hyper_params={"mtries": [7, 8]}), make_job(), h2o)
