"""What ``POST /3/ModelBuilders`` or ``/99/Grid`` is told for a spec."""

import json
from collections.abc import Mapping

from pydantic import JsonValue

from tasks.h2o.model_spec import H2OModelSpec
from tasks.h2o.parameters import table
from tasks.h2o.search import RandomDiscrete
from workers.runtimes.h2o_automl.keys import RunKeys

_LISTS = ("double[]", "float[]", "int[]", "boolean[]")


def model_request(
    spec: H2OModelSpec,
    keys: RunKeys,
    *,
    columns: tuple[str, ...],
    features: tuple[str, ...],
    response: str,
    budget_seconds: float,
    validated: bool,
) -> dict[str, str]:
    """The fields of the form. ``columns`` are all of the dataset's; those without a role are ignored. ``response`` is
    the target's name in the cluster, and ``validated`` is whether there is a validation frame."""
    used = {spec.target, *features, *spec.special_columns.values()}
    request: dict[str, JsonValue] = {
        "training_frame": keys.frame("train"),
        "ignored_columns": [column for column in columns if column not in used],
        **spec.special_columns,
        **{name: _as_h2o_has_it(spec, name, value) for name, value in spec.parameters.items()},
    }
    if spec.target is not None:
        request["response_column"] = response
    if validated:
        request["validation_frame"] = keys.frame("validation")
    if spec.algo == "XRT":
        request["histogram_type"] = "Random"
    if spec.hyper_params is not None:
        request["hyper_parameters"] = {
            name: [_as_h2o_has_it(spec, name, value) for value in values] for name, values in spec.hyper_params.items()
        }
        request["search_criteria"] = _criteria(spec, budget_seconds)
    elif budget_seconds:
        request["max_runtime_secs"] = budget_seconds
    return {name: _text(value) for name, value in request.items()}


def _criteria(spec: H2OModelSpec, budget_seconds: float) -> JsonValue:
    if spec.search_criteria is None:
        return {"strategy": "Cartesian"}
    criteria: dict[str, JsonValue] = spec.search_criteria.model_dump(mode="json")
    if isinstance(spec.search_criteria, RandomDiscrete):
        criteria["max_runtime_secs"] = budget_seconds
    return criteria


def _as_h2o_has_it(spec: H2OModelSpec, name: str, value: JsonValue) -> JsonValue:
    kind = table()[spec.algo][name]["type"]
    if kind == "KeyValue[]" and isinstance(value, Mapping):
        return [{"key": column, "value": sign} for column, sign in value.items()]
    return [value] if kind in _LISTS and not isinstance(value, list) else value


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
