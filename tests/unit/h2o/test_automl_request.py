"""What H2O AutoML is told for a spec."""

from tasks.kinds.train_automl import TrainAutoML
from workers.runtimes.h2o_automl.automl_request import automl_request
from workers.runtimes.h2o_automl.client import Json
from workers.runtimes.h2o_automl.keys import RunKeys

KEYS = RunKeys("0" * 32, 1)


def request_of(*, validated: bool = False, **options: object) -> Json:
    spec = TrainAutoML.model_validate({"dataset": {"file": "f"}, "target": "y", "max_models": 3, **options})
    return automl_request(
        spec,
        KEYS,
        columns=("a", "b", "y"),
        features=("a",),
        response="y",
        budget_seconds=spec.effective_max_runtime_secs,
        validated=validated,
    )


def test_only_the_tables_that_were_given_are_named() -> None:
    plain = request_of()["input_spec"]
    assert set(plain) == {"training_frame", "response_column", "ignored_columns"}
    assert plain["ignored_columns"] == ["b"]
    tables = {"blending_dataset": {"file": "b"}, "leaderboard_dataset": {"file": "l"}}
    full = request_of(validated=True, **tables)["input_spec"]
    for role in ("validation", "blending", "leaderboard"):
        assert full[f"{role}_frame"] == KEYS.frame(role)


def test_a_plan_is_passed_on_as_it_was_said() -> None:
    plan = [{"name": "GLM", "alias": "defaults"}, {"name": "GBM", "steps": [{"id": "def_1", "weight": 5}]}]
    assert request_of(modeling_plan=plan)["build_models"]["modeling_plan"] == plan
    assert "modeling_plan" not in request_of()["build_models"]
