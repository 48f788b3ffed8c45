"""Which steps H2O AutoML goes through, for those who know them: H2O skips what it doesn't know without a word."""

import re
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.contracts import Frozen

StepsOf = Literal["XGBoost", "GLM", "DRF", "GBM", "DeepLearning", "completion", "StackedEnsemble"]

# From H2O's ``ModelingSteps`` of each name (package ai.h2o.automl.modeling), as patterns.
STEPS: Mapping[StepsOf, str] = {
    "XGBoost": "def_[1-3]|grid_1|grid_gblinear|lr_search",
    "GLM": "def_1",
    "DRF": "def_1|XRT",
    "GBM": "def_[1-5]|grid_1|lr_annealing",
    "DeepLearning": "def_1|grid_[1-3]",
    "completion": "resume_best_grids",
    "StackedEnsemble": "monotonic|(best_of_family|all)(_([1-9]|xglm|gbm|xgboost))?",
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
            if re.fullmatch(STEPS[self.name], step.id) is None:
                raise ValueError(f"{self.name} has no step {step.id!r}; its steps are {STEPS[self.name]}")
        return self
