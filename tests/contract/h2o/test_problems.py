"""Every sort of target, and data that nothing can be learnt from."""

import gzip
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import InvalidInput, JobCancelled, JobOutOfMemory
from tasks.h2o.plan import STEPS
from tasks.kinds.train_automl import AutoMLResult
from tests.contract.h2o.conftest import MakeJob, ask, left_in, long_spec, quick_spec, train
from tests.fakes.job_context import FakeJobContext
from workers.runtimes.h2o_automl import memory_guard, what_if
from workers.runtimes.h2o_automl.client import H2OClient, Json, path_part
from workers.runtimes.h2o_automl.runtime import H2OAutoMLRuntime


def test_regression_shows_residuals_instead_of_a_confusion_matrix(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    job = make_job()
    result = train(
        quick_spec("diabetes", "progression", max_models=2, include_algos=["GLM", "GBM"], explain=True), job, h2o
    )
    assert result.problem == "regression"
    assert result.confusion_matrix is None
    assert result.explanation_missing == []
    assert {"rmse", "mae", "r2"} <= set(result.test_metrics)
    rows = job.artifact_json("residuals.json")["rows"]
    assert len(rows) == result.rows["test"]
    parts = {"residuals", "partial_dependence", "variable_importance", "model_correlation", "report"}
    parts |= {"residual_distribution", "residuals_by_feature"}
    assert parts | {"learning_curve", "shap_summary", "pareto_front"} <= set(result.artifacts)
    assert "roc" not in result.artifacts
    across = next(name for name in result.artifacts["partial_dependence_models"] if name.endswith(".json"))
    assert len(job.artifact_json(across)["columns"]) == 1 + result.models
    # A linear model's single rows are parallel lines.
    assert result.leader_algo == "GLM"
    steps = np.diff(single_rows(job, "ice_f2.json"), axis=1)
    assert np.allclose(steps, steps[0], atol=1e-6)
    assert_adds_up(job, result, "H2O's SHAP against")
    kept = pq.read_table(job.artifacts["tables.residuals.parquet"][0])
    assert kept.column_names == ["actual", "predicted", "residual"]
    mean = np.abs(kept["residual"].to_numpy()).mean()
    assert mean == pytest.approx(result.test_metrics["mae"])
    assert f"mean absolute residual {mean:.6g}" in job.artifact_json("residual_distribution.json")["note"]
    groups = pq.read_table(job.artifacts["tables.residuals_by_feature.parquet"][0]).to_pylist()
    for feature in ("(prediction)", "f2"):
        assert sum(row["rows"] for row in groups if row["feature"] == feature) == kept.num_rows


def assert_adds_up(job: FakeJobContext, result: AutoMLResult, method: str) -> None:
    """Contributions of a model that adds up its features are its single-row curves, up to a shift."""
    table = job.artifact_json("shap_summary.json")
    assert method in table["note"]
    rows = [(float(value), contribution) for name, value, contribution in table["rows"] if name == "f2"]
    slope = np.polyfit(*np.array(rows).T, 1)[0]
    curve = [row[1:] for row in job.artifact_json("ice_f2.json")["rows"] if row[0] == 0]
    assert slope == pytest.approx(np.polyfit(*np.array(curve, dtype=np.float64).T, 1)[0], rel=1e-3)


def single_rows(job: FakeJobContext, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Rows by points."""
    rows = job.artifact_json(name)["rows"]
    return np.array([row[2] for row in rows]).reshape(len({row[0] for row in rows}), -1)


def test_three_classes_each_have_their_curve(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    job = make_job()
    spec = quick_spec("wine", "cultivar", features=["feature 0", "feature 12"], explain=True, include_algos=["GBM"])
    result = train(spec, job, h2o)
    assert result.problem == "classification"
    assert result.confusion_matrix is not None
    assert result.confusion_matrix.labels == ["0", "1", "2"]
    assert result.explanation_missing == []
    name = next(name for name in result.artifacts["partial_dependence"] if name.endswith(".json"))
    assert {row[0] for row in job.artifact_json(name)["rows"]} == {"0", "1", "2"}
    shap = pq.read_table(job.artifacts["tables.shap_summary.parquet"][0]).to_pylist()
    assert {row["class"] for row in shap} == {"0", "1", "2"}
    assert {row["feature"] for row in shap} == {"feature 0", "feature 12"}
    assert "H2O has no SHAP values for more than two classes" in job.artifact_json("shap_summary.json")["note"]
    # What a feature adds to one class it takes from the others.
    assert sum(row["contribution"] for row in shap) == pytest.approx(0, abs=1e-6 * len(shap))
    assert max(abs(row["contribution"]) for row in shap) > 0.1
    assert "learning_curve" in result.artifacts
    rows = job.artifact_json(next(name for name in result.artifacts["ice"] if name.endswith(".json")))["rows"]
    assert all(0 <= row[2] <= 1 for row in rows)


def test_categories_times_and_parquet(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, tables: dict[str, Path], tmp_path: Path
) -> None:
    rows = range(200)
    table = pa.table(
        {
            "colour": [("red", "green", "blue")[row % 3] for row in rows],
            "town": [f"town {row % 35}" for row in rows],
            "when": pa.array([row * 86_400_000 for row in rows], pa.timestamp("ms")),
            "size": [float(row * 7 % 50) for row in rows],
            "sold": [int(row % 3 == 0) ^ int(row * 7 % 50 > 40) for row in rows],
        }
    )
    tables["parquet"] = tmp_path / "table.parquet"
    pq.write_table(table, tables["parquet"])
    job = make_job()
    result = train(quick_spec("parquet", "sold", include_algos=["GBM"], explain=True), job, h2o)
    assert result.problem == "classification"
    assert result.explanation_missing == []
    colours = {row[1] for row in job.artifact_json("partial_dependence_colour.json")["rows"]}
    assert colours == {"red", "green", "blue"}
    towns = next(name for name in job.artifacts if name.startswith("partial_dependence_town") and name.endswith("json"))
    # Of 35 towns, those that the test rows have.
    assert 15 <= len(job.artifact_json(towns)["rows"]) <= what_if.MOST_LEVELS
    assert job.artifact_json("partial_dependence_when.json")["rows"][0][1].startswith("1970-")
    assert {row[1] for row in job.artifact_json("ice_colour.json")["rows"]} == {"red", "green", "blue"}
    assert len({row[1] for row in job.artifact_json("ice_when.json")["rows"]}) == what_if.POINTS
    single = {row[0] for row in job.artifact_json("ice_size.json")["rows"]}
    assert what_if.MOST_LINES / 2 <= len(single) <= what_if.MOST_LINES
    assert "H2O's TreeSHAP" in job.artifact_json("shap_summary.json")["note"]
    kept = pq.read_table(job.artifacts["tables.partial_dependence.parquet"][0]).to_pylist()
    assert {row["value_number"] for row in kept if row["feature"] in ("colour", "town", "when")} == {None}
    assert {row["value"] for row in kept if row["feature"] == "colour"} == colours
    # One model alone is compared with none.
    assert "partial_dependence_models" not in result.artifacts


def test_tables_of_their_own_for_validation_and_test(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    spec = quick_spec(validation_dataset={"file": "circle"}, test_dataset={"file": "circle"})
    assert train(spec, make_job(), h2o).rows == {"train": 1000, "validation": 1000, "test": 1000}


def test_ensembles_are_blended_and_models_ranked_on_tables_of_their_own(
    make_job: MakeJob, h2o: H2OAutoMLRuntime
) -> None:
    job = make_job()
    # Without cross-validation there are no ensembles but by blending.
    options = {"include_algos": ["GLM", "GBM", "StackedEnsemble"], "max_models": 2, "nfolds": 0}
    tables = {"blending_dataset": {"file": "circle"}, "leaderboard_dataset": {"file": "circle"}}
    result = train(quick_spec(**options, **tables), job, h2o)
    assert {entry.algo for entry in job.boards[-1].entries} >= {"GLM", "GBM", "StackedEnsemble"}
    assert (result.rows["blending"], result.rows["leaderboard"]) == (1000, 1000)
    assert "measured on the leaderboard_dataset" in job.artifact_json("leaderboard.json")["note"]


def test_a_byte_order_mark_is_no_part_of_a_name_even_compressed(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, tables: dict[str, Path], tmp_path: Path
) -> None:
    tables["marked"] = tmp_path / "marked.csv"
    tables["marked"].write_bytes(gzip.compress(b"\xef\xbb\xbf" + tables["circle"].read_bytes()))
    assert train(quick_spec("marked", features=["x1", "x2"]), make_job(), h2o).models == 1


def test_bad_data_never_reaches_the_cluster(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    job = make_job()
    with pytest.raises(InvalidInput, match=r"has no column 'z' for the target; its columns are: x1, x2, y"):
        train(quick_spec(target="z"), job, h2o)
    assert job.guarded == 0
    assert job.checkpoints == []


def test_no_model_at_all_is_a_failure_with_its_reason(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, tables: dict[str, Path], tmp_path: Path
) -> None:
    tables["weightless"] = tmp_path / "weightless.csv"
    lines = tables["circle"].read_text().splitlines()
    weighted = [lines[0] + ",w", *(line + ",-1" for line in lines[1:])]
    tables["weightless"].write_text("\n".join(weighted) + "\n")
    with pytest.raises(InvalidInput, match=r"(?i)weight") as caught:
        train(quick_spec("weightless", weights_column="w", include_algos=["GBM"]), make_job(), h2o)
    assert "Exception" not in str(caught.value)


@pytest.mark.parametrize("metric", ["AUC", "AUCPR", "logloss", "mean_per_class_error", "RMSE", "MSE"])
def test_every_sort_metric_yields_models(make_job: MakeJob, h2o: H2OAutoMLRuntime, metric: str) -> None:
    result = train(quick_spec(sort_metric=metric), make_job(), h2o)
    assert result.sort_metric == metric.lower()


def test_all_options_are_known_to_h2o(make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient) -> None:
    spec = quick_spec(
        include_algos=["GBM"],
        max_runtime_secs=60,
        max_runtime_secs_per_model=30,
        stopping_metric="AUC",
        stopping_rounds=2,
        stopping_tolerance=0.01,
        balance_classes=True,
        class_sampling_factors=[1.0, 1.5],
        max_after_balance_size=3.0,
        distribution="bernoulli",
        exploitation_ratio=0.1,
        keep_cross_validation_predictions=True,
        keep_cross_validation_models=True,
        keep_cross_validation_fold_assignment=True,
        monotone_constraints={"x1": 1},
        preprocessing=["target_encoding"],
        modeling_plan=[{"name": "GBM", "steps": [{"id": "def_1", "group": 1, "weight": 20}]}],
    )
    assert train(spec, make_job(), h2o).models == 1


def test_h2o_s_own_plan_has_only_steps_that_can_be_named(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    post = H2OClient.post_json

    def note(self: H2OClient, path: str, body: Json) -> Json:
        answers.append(post(self, path, body))
        return answers[-1]

    monkeypatch.setattr(H2OClient, "post_json", note)
    job = make_job()
    ask(job, "cancel")
    with pytest.raises(JobCancelled):
        train(long_spec(exclude_algos=None), job, h2o)
    plan = answers[0]["build_models"]["modeling_plan"]
    assert {steps["name"] for steps in plan} == set(STEPS)
    for steps in plan:
        assert all(re.fullmatch(STEPS[steps["name"]], step["id"]) for step in steps["steps"]), steps


@pytest.mark.parametrize(
    ("distribution", "option", "value"),
    [("tweedie", "tweedie_power", 1.3), ("quantile", "quantile_alpha", 0.8), ("huber", "huber_alpha", 0.7)],
)
def test_distributions_get_their_parameter(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient, distribution: str, option: str, value: float
) -> None:
    job = make_job()
    options = {"distribution": distribution, option: value, "include_algos": ["GBM"]}
    result = train(quick_spec("diabetes", "progression", **options), job, h2o)
    given = client.get(f"/3/Models/{path_part(result.leader)}")["models"][0]["parameters"]
    actual = {parameter["name"]: parameter["actual_value"] for parameter in given}
    assert (actual["distribution"], actual[option]) == (distribution, value)


def test_names_in_quotes_and_spaces_are_read_as_h2o_reads_them(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, tables: dict[str, Path], tmp_path: Path
) -> None:
    tables["spaced"] = tmp_path / "spaced.csv"
    rows = "".join(f'{n % 7}, "a, {n % 3}", {n % 2}\n' for n in range(100))
    tables["spaced"].write_text(' x 1, "größe, neu", y\n' + rows)
    job = make_job()
    result = train(quick_spec("spaced", features=["x 1", "größe, neu"], include_algos=["GBM"], explain=True), job, h2o)
    assert result.explanation_missing == []
    assert len([name for name in result.artifacts["partial_dependence"] if name.endswith(".png")]) == 2
    kept = pq.read_table(job.artifacts["tables.partial_dependence.parquet"][0])
    assert set(kept["feature"].to_pylist()) == {"x 1", "größe, neu"}


def test_the_confusion_matrix_counts_rows_whatever_their_weight(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient, tables: dict[str, Path], tmp_path: Path
) -> None:
    tables["weighted"] = tmp_path / "weighted.csv"
    lines = tables["circle"].read_text().splitlines()
    weighted = [lines[0] + ",w", *(f"{line},{0.3 + n % 3}" for n, line in enumerate(lines[1:]))]
    tables["weighted"].write_text("\n".join(weighted) + "\n")
    job = make_job()
    result = train(quick_spec("weighted", weights_column="w", include_algos=["GBM"]), job, h2o)
    assert result.confusion_matrix is not None
    assert sum(map(sum, result.confusion_matrix.matrix)) == result.rows["test"]
    assert not [name for name in left_in(client, job.job_id) if "unweighted" in name]


def test_words_for_missing_values_mean_the_same_to_the_check_and_to_h2o(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, tables: dict[str, Path], tmp_path: Path
) -> None:
    for name, values in (("texts", ["a", "b", "n/a", ""]), ("numbers", ["0", "1", "NA", ""])):
        tables[name] = tmp_path / f"{name}.csv"
        tables[name].write_text("x,y\n" + "".join(f"{n % 4 + n % 3 / 10},{values[n % 4]}\n" for n in range(400)))
    texts = train(quick_spec("texts", include_algos=["GBM"]), make_job(), h2o).confusion_matrix
    numbers = train(quick_spec("numbers", include_algos=["GBM"]), make_job(), h2o).confusion_matrix
    assert texts is not None
    assert numbers is not None
    assert (texts.labels, numbers.labels) == (["a", "b", "n/a"], ["0", "1"])


def test_a_table_of_its_own_gets_the_datasets_types(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, tables: dict[str, Path], tmp_path: Path
) -> None:
    tables["codes"], tables["digits"] = tmp_path / "codes.csv", tmp_path / "digits.csv"
    tables["codes"].write_text("x,y\n" + "".join(f"{['1', '2', '3', 'red'][n % 4]},{n % 2}\n" for n in range(200)))
    tables["digits"].write_text("x,y\n" + "".join(f"{n % 3 + 1},{n % 2}\n" for n in range(200)))
    spec = quick_spec("codes", test_dataset={"file": "digits"}, include_algos=["GBM"], explain=True)
    result = train(spec, make_job(), h2o)
    assert result.explanation_missing == []
    tables["words"] = tmp_path / "words.csv"
    tables["words"].write_text("x,y\n" + "".join(f"word {n % 3},{n % 2}\n" for n in range(200)))
    times = tmp_path / "times.csv"
    times.write_text("x,y\n" + "".join(f"2024-01-{n % 28 + 1:02},{n % 2}\n" for n in range(200)))
    tables["times"] = times
    with pytest.raises(InvalidInput, match="column 'x' of the test_dataset"):
        train(quick_spec("times", test_dataset={"file": "words"}), make_job(), h2o)


def test_a_table_that_can_not_fit_never_reaches_the_cluster(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_guard, "_VALUE_BYTES", 10**9)
    job = make_job()
    with pytest.raises(JobOutOfMemory, match="TURNOUT_H2O_MEMORY"):
        train(quick_spec(), job, h2o)
    assert left_in(client, job.job_id) == []
