"""The body of ``POST /99/AutoMLBuilder`` for a spec."""

from tasks.automl import AutoMLSpec
from tasks.h2o.fitness import PARAMETER_OF_DISTRIBUTION
from workers.runtimes.h2o_automl.client import Json
from workers.runtimes.h2o_automl.keys import RunKeys


def automl_request(
    spec: AutoMLSpec,
    keys: RunKeys,
    *,
    columns: tuple[str, ...],
    features: tuple[str, ...],
    response: str,
    budget_seconds: float,
    validated: bool,
) -> Json:
    """``columns`` are all of the dataset's; those without a role are ignored. ``response`` is the target's name in the
    cluster.

    ``validated`` is whether there is a validation frame.
    """
    used = {spec.target, *features, *spec.special_columns.values()}
    input_spec: Json = {
        "training_frame": keys.frame("train"),
        "response_column": response,
        "ignored_columns": [column for column in columns if column not in used],
        **spec.special_columns,
    }
    if validated:
        input_spec["validation_frame"] = keys.frame("validation")
    if spec.blending_dataset is not None:
        input_spec["blending_frame"] = keys.frame("blending")
    if spec.leaderboard_dataset is not None:
        input_spec["leaderboard_frame"] = keys.frame("leaderboard")
    if spec.sort_metric != "AUTO":
        input_spec["sort_metric"] = spec.sort_metric
    return {
        "build_control": _build_control(spec, keys, budget_seconds),
        "build_models": _build_models(spec),
        "input_spec": input_spec,
    }


def _build_control(spec: AutoMLSpec, keys: RunKeys, budget_seconds: float) -> Json:
    stopping: Json = {
        "max_models": spec.max_models,
        "max_runtime_secs": budget_seconds,
        "max_runtime_secs_per_model": spec.max_runtime_secs_per_model,
        "stopping_metric": spec.stopping_metric,
        "stopping_rounds": spec.stopping_rounds,
        "seed": spec.seed,
    }
    if spec.stopping_tolerance is not None:
        stopping["stopping_tolerance"] = spec.stopping_tolerance
    control: Json = {
        "project_name": keys.project,
        "nfolds": spec.nfolds,
        "balance_classes": spec.balance_classes,
        "keep_cross_validation_predictions": spec.keep_cross_validation_predictions,
        "keep_cross_validation_models": spec.keep_cross_validation_models,
        "keep_cross_validation_fold_assignment": spec.keep_cross_validation_fold_assignment,
        "stopping_criteria": stopping,
    }
    if spec.balance_classes:
        control["max_after_balance_size"] = spec.max_after_balance_size
    if spec.class_sampling_factors is not None:
        control["class_sampling_factors"] = spec.class_sampling_factors
    if spec.distribution != "AUTO":
        control["distribution"] = spec.distribution
        option = PARAMETER_OF_DISTRIBUTION.get(spec.distribution)
        if option is not None and getattr(spec, option) is not None:
            control[option] = getattr(spec, option)
    return control


def _build_models(spec: AutoMLSpec) -> Json:
    models: Json = {"exploitation_ratio": spec.exploitation_ratio}
    if spec.include_algos is not None:
        models["include_algos"] = spec.include_algos
    if spec.exclude_algos is not None:
        models["exclude_algos"] = spec.exclude_algos
    if spec.modeling_plan is not None:
        models["modeling_plan"] = [steps.model_dump(mode="json", exclude_none=True) for steps in spec.modeling_plan]
    if spec.preprocessing is not None:
        models["preprocessing"] = [{"type": step.replace("_", "")} for step in spec.preprocessing]
    if spec.monotone_constraints is not None:
        value = [{"key": column, "value": sign} for column, sign in spec.monotone_constraints.items()]
        models["algo_parameters"] = [{"scope": "any", "name": "monotone_constraints", "value": value}]
    return models
