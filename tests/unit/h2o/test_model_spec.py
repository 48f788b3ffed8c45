"""What the spec of one algorithm or a grid refuses before a job is queued, and what H2O is told for what it accepts."""

import json
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from tasks.h2o.algorithms import ALGORITHMS, WITHOUT_TARGET, AlgorithmName
from tasks.h2o.left_out import REACHES_OUT, SAID_ELSEWHERE
from tasks.h2o.parameters import grid_of, parameters_of, table
from tasks.kinds.train_h2o_model import TrainH2OModel, run
from tasks.queues import Queue
from workers.runtimes.h2o_automl.keys import RunKeys
from workers.runtimes.h2o_automl.model_request import model_request

KEYS = RunKeys("0" * 32, 1)


def spec(algo: str = "GBM", **options: object) -> TrainH2OModel:
    target = {} if algo in WITHOUT_TARGET else {"target": "y"}
    return TrainH2OModel.model_validate({"dataset": {"file": "f1"}, **target, "algo": algo, **options})


def refusals(algo: str = "GBM", **options: object) -> dict[str, str]:
    """What is said, by the field it is said of."""
    with pytest.raises(ValidationError) as caught:
        spec(algo, **options)
    return {".".join(map(str, error["loc"])): error["msg"] for error in caught.value.errors()}


@pytest.mark.parametrize(
    ("algo", "parameters", "field", "complaint"),
    [
        ("GBM", {"ntree": 5}, "ntree", "Extra inputs"),
        ("GBM", {"alpha": [0.5]}, "alpha", "Extra inputs"),
        ("GBM", {"ntrees": "5"}, "ntrees", "valid integer"),
        ("GBM", {"ntrees": 5.5}, "ntrees", "valid integer"),
        ("GBM", {"ntrees": True}, "ntrees", "valid integer"),
        ("GBM", {"ntrees": None}, "ntrees", "valid integer"),
        ("GBM", {"ntrees": 0}, "ntrees", "greater than or equal to 1"),
        ("GBM", {"learn_rate": 0}, "learn_rate", "greater than 0"),
        ("GBM", {"learn_rate": 9.0}, "learn_rate", "less than or equal to 1"),
        ("GBM", {"learn_rate": float("nan")}, "learn_rate", "finite"),
        ("GBM", {"nfolds": 1}, "nfolds", "must be 0, or at least 2"),
        ("GBM", {"seed": -2}, "seed", "greater than or equal to -1"),
        ("GBM", {"histogram_type": "random"}, "histogram_type", "'Random'"),
        ("GBM", {"distribution": "custom"}, "distribution", "'AUTO'"),
        ("GBM", {"monotone_constraints": {"a": 2}}, "monotone_constraints.a", "-1 or 1"),
        ("GBM", {"sample_rate_per_class": [0.5, 2]}, "sample_rate_per_class.1", "less than or equal to 1"),
        ("DRF", {"mtries": 0}, "mtries", "must be -1, or -2, or at least 1"),
        ("XRT", {"histogram_type": "Random"}, "histogram_type", "Extra inputs"),
        ("XGBoost", {"backend": "gpu"}, "backend", "Extra inputs"),
        ("GLM", {"alpha": [2]}, "alpha.0", "less than or equal to 1"),
        ("GLM", {"family": "ordinal"}, "family", "'AUTO'"),
        ("GLM", {"missing_values_handling": "PlugValues"}, "missing_values_handling", "'MeanImputation'"),
        ("NaiveBayes", {"min_sdev": 0}, "min_sdev", "greater than or equal to 0.0000000001"),
        ("DeepLearning", {"hidden": [0]}, "hidden.0", "greater than or equal to 1"),
        ("DeepLearning", {"autoencoder": True}, "autoencoder", "Extra inputs"),
        ("DeepLearning", {"input_dropout_ratio": 1}, "input_dropout_ratio", "less than 1"),
        ("KMeans", {"k": 0}, "k", "greater than or equal to 1"),
        ("KMeans", {"k": 2, "init": "User"}, "init", "'Furthest'"),
        ("IsolationForest", {"contamination": 0.7}, "contamination", "less than or equal to 0.5"),
        ("IsolationForest", {"stopping_metric": "AUC"}, "stopping_metric", "'anomaly_score'"),
    ],
)
def test_a_parameter_that_the_algorithm_can_not_have_is_named(
    algo: str, parameters: dict[str, object], field: str, complaint: str
) -> None:
    assert complaint in refusals(algo, parameters=parameters)[f"parameters.{field}"]


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_nothing_of_the_cluster_s_own_can_be_named(algo: AlgorithmName) -> None:
    fields = set(parameters_of(algo).model_fields)
    assert fields
    assert not fields & (REACHES_OUT | SAID_ELSEWHERE)
    types = {row["type"] for row in table()[algo].values()}
    assert types <= {
        *("boolean", "int", "long", "double", "float", "enum", "KeyValue[]", "string[]", "string[][]"),
        *("double[]", "float[]", "int[]", "boolean[]"),
    }


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_h2o_s_own_defaults_are_within_the_ranges(algo: AlgorithmName) -> None:
    defaults = {name: row["default"] for name, row in table()[algo].items() if row["default"] is not None}
    assert parameters_of(algo).model_validate(defaults).model_dump(exclude_none=True) == defaults


def test_every_algorithm_has_its_parameters() -> None:
    assert set(get_args(AlgorithmName)) == set(ALGORITHMS) == set(table())


@pytest.mark.parametrize(
    ("algo", "options", "complaint"),
    [
        ("GBM", {"target": None}, "GBM needs a target"),
        ("KMeans", {"target": "y", "parameters": {"k": 2}}, "KMeans predicts no target"),
        ("KMeans", {}, "KMeans needs k"),
        ("KMeans", {"parameters": {"k": 2}, "problem": "regression"}, "problem doesn't apply to KMeans"),
        ("KMeans", {"parameters": {"k": 2}, "sort_metric": "AUC"}, "sort_metric doesn't apply to KMeans"),
        ("KMeans", {"parameters": {"k": 2}, "weights_column": "w"}, "KMeans takes no weights_column"),
        ("KMeans", {"parameters": {"k": 2, "cluster_size_constraints": [5]}}, "a number for each of k clusters"),
        ("PCA", {"fold_column": "f"}, "PCA takes no fold_column"),
        ("NaiveBayes", {"weights_column": "w"}, "NaiveBayes takes no weights_column"),
        ("NaiveBayes", {"problem": "regression"}, "NaiveBayes predicts classes only"),
        ("GAM", {}, "GAM needs gam_columns"),
        ("GAM", {"parameters": {"gam_columns": [["y"]]}}, "gam_columns names 'y', which is not one of the features"),
        ("GLM", {"features": ["a"], "parameters": {"interactions": ["a", "b"]}}, "interactions names 'b'"),
        ("GBM", {"features": ["a"], "parameters": {"monotone_constraints": {"b": 1}}}, "monotone_constraints names"),
        ("GBM", {"fold_column": "f", "parameters": {"nfolds": 3}}, "either fold_column or nfolds"),
        ("GLM", {"problem": "classification", "parameters": {"family": "poisson"}}, "family poisson doesn't apply"),
        ("GLM", {"problem": "regression", "parameters": {"family": "binomial"}}, "family binomial doesn't apply"),
        ("GLM", {"problem": "regression", "parameters": {"link": "logit"}}, "link logit doesn't apply"),
        ("GBM", {"problem": "regression", "sort_metric": "AUC"}, "sort_metric AUC doesn't apply to regression"),
        ("GBM", {"problem": "regression", "parameters": {"balance_classes": True}}, "balance_classes doesn't apply"),
        ("GBM", {"problem": "regression", "parameters": {"stopping_metric": "AUC"}}, "stopping_metric AUC doesn't"),
        (
            "GBM",
            {"problem": "classification", "hyper_params": {"distribution": ["bernoulli", "gaussian"]}},
            "distribution gaussian doesn't apply to classification",
        ),
        (
            "DeepLearning",
            {"problem": "regression", "parameters": {"loss": "CrossEntropy"}},
            "loss CrossEntropy doesn't",
        ),
        ("GBM", {"parameters": {"tweedie_power": 1.5}}, "tweedie_power needs distribution tweedie"),
        ("GLM", {"parameters": {"theta": 0.5}}, "theta needs family negativebinomial"),
        ("GBM", {"parameters": {"class_sampling_factors": [1, 2]}}, "class_sampling_factors needs balance_classes"),
        ("XGBoost", {"parameters": {"eta": 0.1}, "hyper_params": {"learn_rate": [0.1]}}, "two names of the same"),
        ("GBM", {"search_criteria": {"strategy": "Cartesian"}}, "search_criteria need hyper_params"),
        ("GBM", {"parameters": {"ntrees": 1}, "hyper_params": {"ntrees": [1]}}, "ntrees is given in both"),
        ("GBM", {"hyper_params": {"ntrees": [*range(1, 200)], "seed": [*range(200)]}}, "39800 combinations"),
        ("GBM", {"offset_column": "o"}, "Extra inputs"),
        ("GBM", {"checkpoint": "m"}, "Extra inputs"),
    ],
)
def test_what_does_not_go_together_is_refused(algo: str, options: dict[str, object], complaint: str) -> None:
    assert complaint in str(refusals(algo, **options))


@pytest.mark.parametrize(
    ("hyper_params", "field", "complaint"),
    [
        ({}, "hyper_params", "at least 1 item"),
        ({"max_depth": []}, "hyper_params.max_depth", "at least 1 item"),
        ({"max_depth": 3}, "hyper_params.max_depth", "valid list"),
        ({"max_depth": [3, "4"]}, "hyper_params.max_depth.1", "valid integer"),
        ({"max_depth": [3, 3]}, "hyper_params", "max_depth has a value twice"),
        ({"learn_rate": [0.1, 9.0]}, "hyper_params.learn_rate.1", "less than or equal to 1"),
        ({"nfolds": [2, 3]}, "hyper_params", "nfolds can't be varied in a grid"),
        ({"depth": [3]}, "hyper_params.depth", "Extra inputs"),
    ],
)
def test_a_grid_that_can_not_be_is_refused(hyper_params: object, field: str, complaint: str) -> None:
    assert complaint in refusals(hyper_params=hyper_params)[field]


@pytest.mark.parametrize(
    ("criteria", "complaint"),
    [
        ({"strategy": "Sequential"}, "'Cartesian', 'RandomDiscrete'"),
        ({"max_models": 3}, "strategy"),
        ({"strategy": "Cartesian", "max_models": 3}, "Extra inputs"),
        ({"strategy": "RandomDiscrete", "max_models": -1}, "greater than or equal to 0"),
        ({"strategy": "RandomDiscrete", "max_runtime_secs": -1}, "greater than or equal to 0"),
        ({"strategy": "RandomDiscrete", "stopping_tolerance": 1}, "less than 1"),
        ({"strategy": "RandomDiscrete", "stopping_metric": "custom"}, "Input should be"),
        ({"strategy": "RandomDiscrete", "seed": -2}, "greater than or equal to -1"),
    ],
)
def test_search_criteria_are_h2o_s(criteria: object, complaint: str) -> None:
    assert complaint in str(refusals(hyper_params={"max_depth": [3]}, search_criteria=criteria))


def test_an_unknown_algorithm_is_answered_with_the_known_ones() -> None:
    assert "'ExtendedIsolationForest'" in refusals("GBN", parameters={"x": 1})["algo"]


def test_a_spec_survives_being_stored() -> None:
    full = spec(
        parameters={"ntrees": 5},
        hyper_params={"max_depth": [3, 4]},
        search_criteria={"strategy": "RandomDiscrete", "max_models": 1},
    )
    assert TrainH2OModel.model_validate_json(full.model_dump_json(exclude_unset=True)) == full


@pytest.mark.parametrize(
    ("options", "models", "seconds", "folds"),
    [
        ({}, 1, 0, 0),
        ({"parameters": {"max_runtime_secs": 60.5, "nfolds": 5}}, 1, 60.5, 5),
        ({"fold_column": "f"}, 1, 0, 0),
        ({"hyper_params": {"max_depth": [1, 2, 3], "seed": [1, 2]}}, 6, 0, 0),
        (
            {
                "hyper_params": {"max_depth": [1, 2, 3]},
                "search_criteria": {"strategy": "RandomDiscrete", "max_models": 2, "max_runtime_secs": 9},
                "parameters": {"max_runtime_secs": 4},
            },
            2,
            9,
            0,
        ),
        (
            {"hyper_params": {"seed": [1, 2]}, "search_criteria": {"strategy": "RandomDiscrete", "max_models": 50}},
            2,
            0,
            0,
        ),
    ],
)
def test_what_limits_a_training(options: dict[str, object], models: int, seconds: float, folds: int) -> None:
    made = spec(**options)
    assert (made.effective_max_models, made.effective_max_runtime_secs, made.folds) == (models, seconds, folds)


def request_of(made: TrainH2OModel, budget_seconds: float = 0, *, validated: bool = False) -> dict[str, str]:
    return model_request(
        made,
        KEYS,
        columns=("a", "b", "w", "y"),
        features=("a",),
        response="" if made.target is None else "y",
        budget_seconds=budget_seconds,
        validated=validated,
    )


def test_h2o_is_told_what_was_said_and_nothing_else() -> None:
    made = spec(parameters={"ntrees": 5, "monotone_constraints": {"a": -1}}, weights_column="w")
    assert request_of(made, validated=True) == {
        "training_frame": KEYS.frame("train"),
        "validation_frame": KEYS.frame("validation"),
        "response_column": "y",
        "ignored_columns": '["b"]',
        "weights_column": "w",
        "ntrees": "5",
        "monotone_constraints": '[{"key": "a", "value": -1}]',
    }


def test_a_model_has_what_is_left_of_its_time() -> None:
    made = spec(parameters={"max_runtime_secs": 100})
    assert request_of(made, budget_seconds=40)["max_runtime_secs"] == "40"


def test_a_grid_is_told_its_criteria_and_numbers_as_lists_where_h2o_wants_those() -> None:
    made = spec(
        "GLM",
        hyper_params={"alpha": [0.5, [0.1, 0.9]], "standardize": [True, False]},
        search_criteria={"strategy": "RandomDiscrete", "max_runtime_secs": 100},
    )
    request = request_of(made, budget_seconds=40)
    assert json.loads(request["hyper_parameters"]) == {"alpha": [[0.5], [0.1, 0.9]], "standardize": [True, False]}
    criteria = json.loads(request["search_criteria"])
    assert (criteria["strategy"], criteria["max_runtime_secs"]) == ("RandomDiscrete", 40)
    assert "max_runtime_secs" not in request


def test_without_a_target_the_features_are_all_that_is_learned_from() -> None:
    request = request_of(spec("KMeans", parameters={"k": 3}))
    assert "response_column" not in request
    assert json.loads(request["ignored_columns"]) == ["b", "w", "y"]


def test_extremely_randomised_trees_are_a_random_forest_with_random_splits() -> None:
    assert request_of(spec("XRT"))["histogram_type"] == "Random"


def test_the_kind_declares_its_queue_and_runtime() -> None:
    assert run.name == "train_h2o_model"
    assert run.queues == (Queue.H2O,)
    assert run.runtime == "h2o_automl"
    assert run.clean_up is not None


def test_every_option_explains_itself() -> None:
    for name, field in TrainH2OModel.model_fields.items():
        assert name == "kind" or field.description, name


def test_the_schema_has_each_algorithm_s_parameters_with_ranges_and_defaults() -> None:
    rules = TrainH2OModel.model_json_schema()["allOf"]
    by_algo: dict[str, Any] = {
        rule["if"]["properties"]["algo"]["const"]: rule["then"]["properties"]["parameters"]["properties"]
        for rule in rules
    }
    assert set(by_algo) == set(ALGORITHMS)
    learn_rate = by_algo["GBM"]["learn_rate"]
    assert (learn_rate["default"], learn_rate["exclusiveMinimum"], learn_rate["maximum"]) == (0.1, 0, 1)
    assert learn_rate["gridable"]
    assert by_algo["GBM"]["histogram_type"]["enum"][0] == "AUTO"
    assert by_algo["DRF"]["ntrees"]["default"] == 50
    assert not by_algo["GBM"]["nfolds"]["gridable"]
    assert "nfolds" not in grid_of("GBM").model_fields
    assert all(field["description"] for fields in by_algo.values() for field in fields.values())
