"""The options of H2O AutoML under H2O's own names, refused here wherever H2O would accept them and train nothing."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.contracts import Input
from tasks.h2o.fitness import FITTED, PARAMETER_OF_DISTRIBUTION
from tasks.h2o.plan import PlannedSteps
from tasks.h2o.ranges import LONGEST_RUNTIME_SECONDS
from tasks.tabular import ColumnName, TableTraining

Algorithm = Literal["GLM", "DRF", "GBM", "DeepLearning", "XGBoost", "StackedEnsemble"]
SortMetric = Literal[
    "AUTO", "AUC", "AUCPR", "logloss", "mean_per_class_error", "RMSE", "MSE", "deviance", "MAE", "RMSLE"
]
StoppingMetric = Literal[
    "AUTO",
    "deviance",
    "logloss",
    "MSE",
    "RMSE",
    "MAE",
    "RMSLE",
    "AUC",
    "AUCPR",
    "lift_top_group",
    "misclassification",
    "mean_per_class_error",
]
Distribution = Literal[
    "AUTO", "bernoulli", "multinomial", "gaussian", "poisson", "gamma", "tweedie", "laplace", "quantile", "huber"
]

_TREES = frozenset({"DRF", "GBM", "XGBoost"})
DEFAULT_RUNTIME_SECONDS = 3600.0
DEFAULT_BALANCE_SIZE = 5.0
# What H2O makes of nfolds -1.
DEFAULT_FOLDS = 5


class AutoMLSpec(TableTraining):
    """Everything that one AutoML training can be told."""

    target: ColumnName = Field(description="The column to predict.")
    blending_dataset: Input | None = Field(
        default=None,
        description=(
            "Rows that the ensembles learn from how to combine the models, in a table of their own with the same "
            "columns; then cross-validation isn't needed for it."
        ),
    )
    leaderboard_dataset: Input | None = Field(
        default=None,
        description=(
            "Rows to rank the models on, in a table of their own with the same columns; the leaderboard is measured by "
            "cross-validation if not given."
        ),
    )
    max_models: int = Field(
        default=0, ge=0, le=10_000, description="Most models to train, ensembles not counted; 0: no limit."
    )
    max_runtime_secs: float | None = Field(
        default=None,
        ge=0,
        le=LONGEST_RUNTIME_SECONDS,
        description="Most seconds to train; 0: no limit. If not given: no limit with max_models, else 3600.",
    )
    max_runtime_secs_per_model: float = Field(
        default=0, ge=0, le=LONGEST_RUNTIME_SECONDS, description="Most seconds for each model; 0: no limit."
    )
    seed: int = Field(
        default=-1,
        ge=-1,
        le=2**53 - 1,
        description="For the same models again (without DeepLearning, limited by max_models); -1: random.",
    )
    nfolds: int = Field(
        default=-1, ge=-1, le=100, description="Folds of cross-validation, 2 or more; 0: none; -1: H2O decides (5)."
    )
    include_algos: list[Algorithm] | None = Field(
        default=None, min_length=1, description="Train only these algorithms (DRF includes XRT)."
    )
    exclude_algos: list[Algorithm] | None = Field(
        default=None, min_length=1, description="Train all algorithms but these."
    )
    sort_metric: SortMetric = Field(
        default="AUTO",
        description=(
            "What the leaderboard is sorted by; AUTO: AUC for two classes, mean_per_class_error for more, "
            "RMSE for numbers."
        ),
    )
    stopping_metric: StoppingMetric = Field(
        default="AUTO", description="What early stopping looks at; AUTO: logloss for classes, deviance for numbers."
    )
    stopping_rounds: int = Field(
        default=3, ge=0, le=1000, description="Stop when the metric didn't improve for this many rounds; 0: never."
    )
    stopping_tolerance: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="The relative improvement that counts; chosen from the number of rows if not given.",
    )
    balance_classes: bool = Field(default=False, description="Oversample rare classes; classification only.")
    class_sampling_factors: list[Annotated[float, Field(gt=0)]] | None = Field(
        default=None,
        min_length=2,
        description="Sampling ratio of each class, in alphabetical order; needs balance_classes.",
    )
    max_after_balance_size: float = Field(
        default=DEFAULT_BALANCE_SIZE,
        gt=0,
        le=1000,
        description="Largest size after balancing, relative to the data; needs balance_classes.",
    )
    distribution: Distribution = Field(default="AUTO", description="What the target is taken to be distributed like.")
    tweedie_power: float | None = Field(
        default=None, gt=1, lt=2, description="Variance power of distribution tweedie; H2O takes 1.5 if not given."
    )
    quantile_alpha: float | None = Field(
        default=None, gt=0, lt=1, description="The quantile of distribution quantile; H2O takes 0.5 if not given."
    )
    huber_alpha: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Where distribution huber turns from squares to absolute values; H2O takes 0.9 if not given.",
    )
    exploitation_ratio: float = Field(
        default=-1,
        ge=-1,
        le=1,
        description="Share of the budget, 0 to 1, for refining the best models; -1: H2O decides.",
    )
    keep_cross_validation_predictions: bool = Field(
        default=False, description="Keep them in the cluster while training."
    )
    keep_cross_validation_models: bool = Field(
        default=False, description="Keep the folds' models in the cluster while training; takes memory."
    )
    keep_cross_validation_fold_assignment: bool = Field(
        default=False, description="Keep each row's fold in the cluster while training."
    )
    monotone_constraints: dict[str, Literal[-1, 1]] | None = Field(
        default=None, min_length=1, description="Columns whose effect may only rise (1) or fall (-1); trees heed it."
    )
    modeling_plan: list[PlannedSteps] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="The steps that AutoML goes through, for experts; H2O's own plan if not given.",
    )
    preprocessing: list[Literal["target_encoding"]] | None = Field(
        default=None, min_length=1, max_length=1, description="Prepare columns before training (experimental in H2O)."
    )

    @property
    def datasets(self) -> dict[str, Input]:
        further = {"blending": self.blending_dataset, "leaderboard": self.leaderboard_dataset}
        return {**super().datasets, **{role: source for role, source in further.items() if source is not None}}

    @property
    def effective_max_runtime_secs(self) -> float:
        if self.max_runtime_secs is not None:
            return self.max_runtime_secs
        return 0.0 if self.max_models else DEFAULT_RUNTIME_SECONDS

    @property
    def effective_max_models(self) -> int:
        return self.max_models

    @property
    def folds(self) -> int:
        """H2O makes five of -1."""
        if self.fold_column is not None:
            return 0
        return DEFAULT_FOLDS if self.nfolds == -1 else self.nfolds

    @property
    def sampling_factors(self) -> list[float] | None:
        return self.class_sampling_factors

    @property
    def options(self) -> dict[str, list[object]]:
        return {name: [getattr(self, name, None)] for name in (*FITTED, "balance_classes", "monotone_constraints")}

    @property
    def named_features(self) -> dict[str, list[str]]:
        return {"monotone_constraints": list(self.monotone_constraints or ())}

    @model_validator(mode="after")
    def _limits_exist(self) -> Self:
        if not self.max_models and self.max_runtime_secs == 0:
            raise ValueError("set max_models or max_runtime_secs: without either the training would never end")
        if self.nfolds == 1:
            raise ValueError("nfolds must be 0, -1, or at least 2")
        if -1 < self.exploitation_ratio < 0:
            raise ValueError("exploitation_ratio must be -1 or lie between 0 and 1")
        return self

    @model_validator(mode="after")
    def _algorithms_remain(self) -> Self:
        if self.include_algos is not None and self.exclude_algos is not None:
            raise ValueError("give either include_algos or exclude_algos, not both")
        for option, algos in (("include_algos", self.include_algos), ("exclude_algos", self.exclude_algos)):
            if algos is not None and len(set(algos)) != len(algos):
                raise ValueError(f"{option} names an algorithm twice")
        if not self.algorithms - {"StackedEnsemble"}:
            raise ValueError("no algorithm is left to train; an ensemble alone has nothing to combine")
        if self.monotone_constraints and not self.algorithms & _TREES:
            raise ValueError("monotone_constraints need one of DRF, GBM and XGBoost, but none is to be trained")
        if self.blending_dataset is not None and "StackedEnsemble" not in self.algorithms:
            raise ValueError("blending_dataset is for ensembles, but StackedEnsemble is not to be trained")
        return self

    @property
    def algorithms(self) -> frozenset[str]:
        if self.include_algos is not None:
            return frozenset(self.include_algos)
        every = frozenset({"GLM", "DRF", "GBM", "DeepLearning", "XGBoost", "StackedEnsemble"})
        return every - frozenset(self.exclude_algos or ())

    @model_validator(mode="after")
    def _plan_can_be_gone_through(self) -> Self:
        names = [steps.name for steps in self.modeling_plan or ()]
        if len(set(names)) != len(names):
            raise ValueError("modeling_plan has a name twice; give all of its steps together")
        left_out = [name for name in names if name != "completion" and name not in self.algorithms]
        if left_out:
            raise ValueError(f"modeling_plan has steps of {left_out[0]}, which is not to be trained")
        if names and not set(names) - {"StackedEnsemble", "completion"}:
            raise ValueError("modeling_plan needs steps of an algorithm; ensembles alone have nothing to combine")
        return self

    @model_validator(mode="after")
    def _folds_come_from_one_place(self) -> Self:
        if self.fold_column is not None and self.nfolds != -1:
            raise ValueError("give either fold_column or nfolds, not both")
        return self

    @model_validator(mode="after")
    def _options_fit_the_problem(self) -> Self:
        if self.class_sampling_factors is not None and not self.balance_classes:
            raise ValueError("class_sampling_factors need balance_classes")
        if self.max_after_balance_size != DEFAULT_BALANCE_SIZE and not self.balance_classes:
            raise ValueError("max_after_balance_size needs balance_classes")
        for distribution, option in PARAMETER_OF_DISTRIBUTION.items():
            if getattr(self, option) is not None and self.distribution != distribution:
                raise ValueError(f"{option} needs distribution {distribution}")
        if self.problem != "auto":
            complaint = self.misfit(self.problem)
            if complaint is not None:
                raise ValueError(complaint)
        return self
