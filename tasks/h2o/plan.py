"""Which steps H2O AutoML goes through, for those who know them: H2O skips what it doesn't know without a word."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.contracts import Frozen

StepsOf = Literal["XGBoost", "GLM", "DRF", "GBM", "DeepLearning", "completion", "StackedEnsemble"]

# From H2O's ``ModelingSteps`` of each name (package ai.h2o.automl.modeling).
STEPS: Mapping[StepsOf, frozenset[str]] = {
    "XGBoost": frozenset({"def_1", "def_2", "def_3", "grid_1", "grid_gblinear", "lr_search"}),
    "GLM": frozenset({"def_1"}),
    "DRF": frozenset({"def_1", "XRT"}),
    "GBM": frozenset({"def_1", "def_2", "def_3", "def_4", "def_5", "grid_1", "lr_annealing"}),
    "DeepLearning": frozenset({"def_1", "grid_1", "grid_2", "grid_3"}),
    "completion": frozenset({"resume_best_grids"}),
    "StackedEnsemble": frozenset(
        {
            "monotonic",
            "best_of_family",
            "best_of_family_xglm",
            "best_of_family_gbm",
            "best_of_family_xgboost",
            "all",
            "all_xglm",
            "all_gbm",
            "all_xgboost",
        }
    ),
}


class PlannedStep(Frozen):
    """One step, such as ``def_1``."""

    id: str = Field(min_length=1, max_length=100, description="H2O's name of the step.")
    weight: int | None = Field(
        default=None, ge=1, le=1000, description="Its share of the time, relative to others; H2O's own if not given."
    )
    group: int | None = Field(
        default=None, ge=1, le=1000, description="Groups run one after the other; H2O's own if not given."
    )


class PlannedSteps(Frozen):
    """Some or all of the steps of one name."""

    name: StepsOf
    alias: Literal["all", "defaults", "grids"] | None = Field(
        default=None, description="All steps of that name, or those of a sort; all if no steps are given either."
    )
    steps: list[PlannedStep] | None = Field(default=None, min_length=1, description="The steps one by one.")

    @model_validator(mode="after")
    def _steps_exist(self) -> Self:
        if self.alias is not None and self.steps is not None:
            raise ValueError("give either alias or steps, not both")
        for step in self.steps or ():
            if step.id not in STEPS[self.name]:
                known = ", ".join(sorted(STEPS[self.name]))
                raise ValueError(f"{self.name} has no step {step.id!r}; it has {known}")
        return self
