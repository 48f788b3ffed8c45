"""One algorithm with its parameters, or a grid of it: refused here wherever H2O would fail late, or train something
else than was meant."""

import math
from collections.abc import Iterator
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, ValidationInfo, field_validator, model_validator

from tasks.automl import SortMetric
from tasks.h2o.algorithms import TAKES, WITHOUT_TARGET, AlgorithmName
from tasks.h2o.fitness import FITTED, PARAMETER_OF_DISTRIBUTION
from tasks.h2o.parameters import grid_of, parameters_of, table
from tasks.h2o.schema import add_parameters
from tasks.h2o.search import RandomDiscrete, SearchCriteria
from tasks.tabular import TableTraining

MOST_COMBINATIONS = 10_000
# XGBoost's own names of what the other tree algorithms call otherwise; H2O lets one of the two win silently.
SAME = (
    ("learn_rate", "eta"),
    ("min_rows", "min_child_weight"),
    ("sample_rate", "subsample"),
    ("col_sample_rate", "colsample_bylevel"),
    ("col_sample_rate_per_tree", "colsample_bytree"),
    ("max_abs_leafnode_pred", "max_delta_step"),
    ("min_split_improvement", "gamma"),
)
_COLUMN_LISTS = ("monotone_constraints", "interactions", "interaction_constraints", "gam_columns")
_PARAMETER_OF_FAMILY = {"tweedie": "tweedie_variance_power", "negativebinomial": "theta"}


class H2OModelSpec(TableTraining):
    """Everything that the training of one algorithm can be told."""

    model_config = ConfigDict(json_schema_extra=add_parameters)

    algo: AlgorithmName = Field(description="The algorithm; KMeans, PCA and isolation forests need no target.")
    parameters: dict[str, JsonValue] = Field(
        default={}, description="The algorithm's parameters under H2O's own names; H2O's defaults for the others."
    )
    hyper_params: dict[str, list[JsonValue]] | None = Field(
        default=None,
        min_length=1,
        description="A grid: parameters with the values to try, such as {'max_depth': [3, 5], 'learn_rate': [0.1]}.",
    )
    search_criteria: SearchCriteria | None = Field(
        default=None, description="How to go through a grid; Cartesian (every combination) if not given."
    )
    sort_metric: SortMetric = Field(
        default="AUTO",
        description=(
            "What the leaderboard is sorted by; AUTO: AUC for two classes, mean_per_class_error for more, RMSE for "
            "numbers."
        ),
    )

    @field_validator("parameters")
    @classmethod
    def _parameters_are_the_algorithm_s(cls, given: dict[str, JsonValue], info: ValidationInfo) -> dict[str, JsonValue]:
        if "algo" in info.data:
            parameters_of(info.data["algo"]).model_validate(given)
        return given

    @field_validator("hyper_params")
    @classmethod
    def _grid_varies_what_it_may(
        cls, given: dict[str, list[JsonValue]] | None, info: ValidationInfo
    ) -> dict[str, list[JsonValue]] | None:
        if given is None or "algo" not in info.data:
            return given
        algo = info.data["algo"]
        for name in given:
            if name in table()[algo] and not table()[algo][name]["grid"]:
                raise ValueError(f"{name} can't be varied in a grid; give it in parameters")
        grid_of(algo).model_validate(given)
        for name, values in given.items():
            if any(value in values[:index] for index, value in enumerate(values)):
                raise ValueError(f"{name} has a value twice")
        return given

    @property
    def algorithms(self) -> frozenset[str]:
        return frozenset({self.algo})

    @property
    def combinations(self) -> int:
        """How many models the whole grid has; 1 without a grid."""
        return math.prod(len(values) for values in (self.hyper_params or {}).values())

    @property
    def effective_max_models(self) -> int:
        limit = self.search_criteria.max_models if isinstance(self.search_criteria, RandomDiscrete) else 0
        return min(limit or self.combinations, self.combinations)

    @property
    def effective_max_runtime_secs(self) -> float:
        if self.hyper_params is None:
            return float(self._value("max_runtime_secs") or 0)
        return self.search_criteria.max_runtime_secs if isinstance(self.search_criteria, RandomDiscrete) else 0.0

    @property
    def folds(self) -> int:
        return 0 if self.fold_column is not None else int(self._value("nfolds") or 0)

    @property
    def options(self) -> dict[str, list[object]]:
        names = (*FITTED, "balance_classes", "binomial_double_trees", "monotone_constraints")
        found: dict[str, list[object]] = {name: list(self._values(name)) for name in names}
        found["sort_metric"] = [self.sort_metric]
        if isinstance(self.search_criteria, RandomDiscrete):
            found["stopping_metric"].append(self.search_criteria.stopping_metric)
        return found

    @property
    def named_features(self) -> dict[str, list[str]]:
        return {name: sorted(set(_texts(list(self._values(name))))) for name in _COLUMN_LISTS if self._is_given(name)}

    @model_validator(mode="after")
    def _target_fits_the_algorithm(self) -> Self:
        if self.algo not in WITHOUT_TARGET:
            if self.target is None:
                raise ValueError(f"{self.algo} needs a target, the column to predict")
            return self
        if self.target is not None:
            raise ValueError(f"{self.algo} predicts no target; leave it out, or name the columns to learn from")
        for option, said in (("problem", self.problem != "auto"), ("sort_metric", self.sort_metric != "AUTO")):
            if said:
                raise ValueError(f"{option} doesn't apply to {self.algo}, which has no target")
        if self.algo == "KMeans" and not self._is_given("k"):
            raise ValueError("parameters: KMeans needs k, the number of clusters (the most, with estimate_k)")
        return self

    @model_validator(mode="after")
    def _algorithm_takes_the_columns(self) -> Self:
        for option in self.special_columns:
            if self.algo not in TAKES[option]:
                raise ValueError(f"{self.algo} takes no {option}")
        if self.fold_column is not None and self._is_given("nfolds"):
            raise ValueError("give either fold_column or nfolds, not both")
        if self.algo == "GAM" and not self._is_given("gam_columns"):
            raise ValueError("parameters: GAM needs gam_columns, the columns to smooth, such as [['age'], ['income']]")
        return self

    @model_validator(mode="after")
    def _grid_is_whole(self) -> Self:
        if self.hyper_params is None:
            if self.search_criteria is not None:
                raise ValueError("search_criteria need hyper_params, which make a grid")
            return self
        for name in self.hyper_params:
            if name in self.parameters:
                raise ValueError(f"{name} is given in both parameters and hyper_params")
        if self.combinations > MOST_COMBINATIONS:
            raise ValueError(
                f"hyper_params have {self.combinations} combinations; at most {MOST_COMBINATIONS} are tried"
            )
        return self

    @model_validator(mode="after")
    def _parameters_have_what_they_need(self) -> Self:
        for one, other in SAME:
            if self.algo == "XGBoost" and self._is_given(one) and self._is_given(other):
                raise ValueError(f"{one} and {other} are two names of the same; give one of them")
        for distribution, option in PARAMETER_OF_DISTRIBUTION.items():
            if self._is_given(option) and distribution not in self._values("distribution"):
                raise ValueError(f"{option} needs distribution {distribution}")
        for family, option in _PARAMETER_OF_FAMILY.items():
            if self._is_given(option) and family not in self._values("family"):
                raise ValueError(f"{option} needs family {family}")
        for option in ("class_sampling_factors", "max_after_balance_size"):
            if self._is_given(option) and True not in self._values("balance_classes"):
                raise ValueError(f"{option} needs balance_classes")
        sizes = self.parameters.get("cluster_size_constraints")
        if isinstance(sizes, list) and [len(sizes)] != list(self._values("k")):
            raise ValueError("cluster_size_constraints needs a number for each of k clusters")
        return self

    @model_validator(mode="after")
    def _options_fit_the_problem(self) -> Self:
        if self.problem != "auto":
            complaint = self.misfit(self.problem)
            if complaint is not None:
                raise ValueError(complaint)
        return self

    def misfit(self, problem: Literal["classification", "regression"]) -> str | None:
        if self.algo == "NaiveBayes" and problem == "regression":
            return "NaiveBayes predicts classes only"
        return super().misfit(problem)

    @property
    def sampling_factors(self) -> list[float] | None:
        found = self._value("class_sampling_factors")
        return [float(str(factor)) for factor in found] if isinstance(found, list) else None

    def _is_given(self, name: str) -> bool:
        return name in self.parameters or name in (self.hyper_params or {})

    def _values(self, name: str) -> Iterator[JsonValue]:
        """What a parameter is, or what it is varied among; H2O's default if it isn't given."""
        if self.hyper_params is not None and name in self.hyper_params:
            yield from self.hyper_params[name]
        elif name in self.parameters:
            yield self.parameters[name]
        elif name in table()[self.algo]:
            yield table()[self.algo][name]["default"]

    def _value(self, name: str) -> Any:
        """A parameter that no grid varies."""
        return next(self._values(name), None)


def _texts(value: JsonValue) -> Iterator[str]:
    """The column names somewhere in a value; of constraints, their keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value:
            yield from _texts(item)
