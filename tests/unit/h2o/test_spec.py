"""What a spec refuses before a job is queued."""

import pytest
from pydantic import ValidationError

from tasks.kinds.train_automl import TrainAutoML, run
from tasks.queues import Queue
from tasks.runtimes import H2OAutoML
from workers.runtimes.h2o_automl.runtime import H2OAutoMLRuntime

TABLE = {"dataset": {"file": "f1"}, "target": "y"}


def spec(**options: object) -> TrainAutoML:
    return TrainAutoML.model_validate({**TABLE, **options})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_models": -1}, "greater than or equal to 0"),
        ({"max_runtime_secs": -5}, "greater than or equal to 0"),
        ({"max_runtime_secs": 0}, "would never end"),
        ({"nfolds": 1}, "nfolds must be 0, -1, or at least 2"),
        ({"stopping_tolerance": 1}, "less than 1"),
        ({"exploitation_ratio": -0.5}, "exploitation_ratio must be -1"),
        ({"sort_metric": "auc"}, "Input should be 'AUTO'"),
        ({"sort_metric": "MAE", "problem": "classification"}, "sort_metric MAE doesn't apply to classification"),
        ({"sort_metric": "AUC", "problem": "regression"}, "sort_metric AUC doesn't apply to regression"),
        ({"stopping_metric": "AUC", "problem": "regression"}, "stopping_metric AUC doesn't apply"),
        ({"distribution": "poisson", "problem": "classification"}, "distribution poisson doesn't apply"),
        ({"tweedie_power": 1.5}, "tweedie_power needs distribution tweedie"),
        ({"quantile_alpha": 0.5, "distribution": "huber"}, "quantile_alpha needs distribution quantile"),
        ({"tweedie_power": 2, "distribution": "tweedie"}, "less than 2"),
        ({"huber_alpha": 1, "distribution": "huber"}, "less than 1"),
        ({"quantile_alpha": 0, "distribution": "quantile"}, "greater than 0"),
        ({"balance_classes": True, "problem": "regression"}, "balance_classes doesn't apply"),
        ({"class_sampling_factors": [1, 2]}, "need balance_classes"),
        ({"max_after_balance_size": 2}, "needs balance_classes"),
        ({"include_algos": ["GBM"], "exclude_algos": ["GLM"]}, "not both"),
        ({"include_algos": ["GAM"]}, "Input should be 'GLM'"),
        ({"include_algos": ["StackedEnsemble"]}, "no algorithm is left"),
        ({"exclude_algos": ["GLM", "DRF", "GBM", "DeepLearning", "XGBoost"]}, "no algorithm is left"),
        ({"include_algos": ["GBM", "GBM"]}, "twice"),
        ({"features": ["a", "y"]}, "can't be one of the features"),
        ({"features": ["a", "a"]}, "names a column twice"),
        ({"features": []}, "at least 1 item"),
        ({"types": {"y": "enum"}}, "say by problem what it is"),
        ({"types": {"a": "factor"}}, "Input should be 'numeric', 'enum', 'time' or 'string'"),
        ({"types": {}}, "at least 1 item"),
        ({"encoding": "utf-7"}, "Input should be 'auto', 'utf-8', 'utf-16'"),
        ({"types": {"a": "string"}, "features": ["a"]}, "which no model learns from"),
        ({"weights_column": "y"}, "must be different columns"),
        ({"weights_column": "w", "features": ["w"]}, "can't be one of the features"),
        ({"fold_column": "f", "nfolds": 5}, "either fold_column or nfolds"),
        ({"monotone_constraints": {"z": 1}, "features": ["a"]}, "'z', which is not one of the features"),
        ({"monotone_constraints": {"y": 1}}, "'y', which is not one of the features"),
        ({"monotone_constraints": {"a": 2}}, "Input should be -1 or 1"),
        ({"monotone_constraints": {"a": 1}, "include_algos": ["GLM"]}, "monotone_constraints need one of"),
        ({"preprocessing": ["scale"]}, "target_encoding"),
        ({"split": {"ratios": [0.5, 0.4]}}, "must sum to 1"),
        ({"split": {"ratios": [1.2, -0.2]}}, "between 0 and 1"),
        ({"split": {"ratios": [1.0]}}, "at least 2 items"),
        ({"split": {}, "test_dataset": {"file": "t"}}, "either split or test_dataset"),
        ({"split": {"ratios": [0.6, 0.2, 0.2]}, "validation_dataset": {"file": "v"}}, "three ratios or validation"),
        ({"maxmodels": 3}, "Extra inputs are not permitted"),
        ({"project_name": "mine"}, "Extra inputs are not permitted"),
        ({"export_checkpoints_dir": "/tmp"}, "Extra inputs are not permitted"),  # noqa: S108
        ({"ignored_columns": ["y"]}, "Extra inputs are not permitted"),
        ({"custom_metric_func": "python:m=f"}, "Extra inputs are not permitted"),
        ({"custom_distribution_func": "python:m=f"}, "Extra inputs are not permitted"),
        ({"max_runtime_secs_per_model": -1}, "greater than or equal to 0"),
        ({"stopping_rounds": -1}, "greater than or equal to 0"),
        ({"distribution": "custom"}, "Input should be 'AUTO'"),
        ({"blending_dataset": "rows.csv"}, "blending_dataset"),
        ({"modeling_plan": [{"name": "GBN"}]}, "'GBM'"),
        ({"modeling_plan": [{"name": "GBM", "alias": "some"}]}, "'defaults'"),
        ({"modeling_plan": [{"name": "GBM", "steps": [{"id": "def_6"}]}]}, "GBM has no step 'def_6'"),
        ({"modeling_plan": [{"name": "GBM", "steps": []}]}, "at least 1 item"),
        ({"modeling_plan": [{"name": "GBM", "alias": "all", "steps": [{"id": "def_1"}]}]}, "either alias or steps"),
        ({"modeling_plan": [{"name": "GBM", "steps": [{"id": "def_1", "weight": 0}]}]}, "greater than or equal to 1"),
        ({"modeling_plan": [{"name": "GBM"}, {"name": "GBM"}]}, "has a name twice"),
        ({"modeling_plan": [{"name": "GBM"}], "exclude_algos": ["GBM"]}, "steps of GBM, which is not to be trained"),
        ({"modeling_plan": [{"name": "StackedEnsemble"}]}, "needs steps of an algorithm"),
        (
            {"blending_dataset": {"file": "b"}, "exclude_algos": ["StackedEnsemble"]},
            "blending_dataset is for ensembles",
        ),
        ({"leaderboard_dataset": {"file": "l", "artifact": "x"}}, "leaderboard_dataset"),
    ],
)
def test_what_h2o_would_accept_and_train_nothing_from_is_refused(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(**options)
    assert complaint in str(caught.value)


def test_a_spec_survives_being_stored() -> None:
    full = spec(max_models=3, balance_classes=True, class_sampling_factors=[1, 2], split={"ratios": [0.7, 0.3]})
    assert TrainAutoML.model_validate_json(full.model_dump_json()) == full
    assert TrainAutoML.model_validate_json(spec().model_dump_json()) == spec()


def test_time_is_limited_unless_models_are() -> None:
    assert spec().effective_max_runtime_secs == 3600
    assert spec(max_models=5).effective_max_runtime_secs == 0
    assert spec(max_models=5, max_runtime_secs=60).effective_max_runtime_secs == 60


def test_test_rows_are_always_held_out() -> None:
    held_out = spec().effective_split
    assert held_out is not None
    assert held_out.ratios == [0.8, 0.2]
    assert spec(test_dataset={"file": "t"}).effective_split is None


def test_the_kind_declares_its_queue_and_runtime() -> None:
    assert run.name == "train_automl"
    assert run.queues == (Queue.H2O,)
    assert run.runtime == "h2o_automl"
    assert run.clean_up is not None


def test_the_real_runtime_fits_its_protocol() -> None:
    fits: type[H2OAutoML] = H2OAutoMLRuntime
    assert fits.runtime_name == H2OAutoML.runtime_name


def test_every_option_explains_itself() -> None:
    for name, field in TrainAutoML.model_fields.items():
        assert name == "kind" or field.description, name
