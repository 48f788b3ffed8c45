"""The options of H2O AutoML under H2O's own names, refused here wherever H2O would accept them and train nothing."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

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

_CLASSIFICATION_ONLY = frozenset(
    {
        "AUC",
        "AUCPR",
        "logloss",
        "mean_per_class_error",
        "lift_top_group",
        "misclassification",
        "bernoulli",
        "multinomial",
    }
)
_REGRESSION_ONLY = frozenset(
    {"deviance", "MAE", "RMSLE", "gaussian", "poisson", "gamma", "tweedie", "laplace", "quantile", "huber"}
)
_TWO_CLASSES_ONLY = frozenset({"AUC", "AUCPR", "lift_top_group", "bernoulli"})
_TREES = frozenset({"DRF", "GBM", "XGBoost"})
PARAMETER_OF_DISTRIBUTION = {"tweedie": "tweedie_power", "quantile": "quantile_alpha", "huber": "huber_alpha"}
DEFAULT_RUNTIME_SECONDS = 3600.0
DEFAULT_BALANCE_SIZE = 5.0
LONGEST_RUNTIME_SECONDS = 6 * 86400.0


class AutoMLSpec(TableTraining):
    """Everything that one AutoML training can be told."""

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
    weights_column: ColumnName | None = Field(default=None, description="Column with each row's weight.")
    fold_column: ColumnName | None = Field(default=None, description="Column that assigns each row to a fold.")
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
    preprocessing: list[Literal["target_encoding"]] | None = Field(
        default=None, min_length=1, max_length=1, description="Prepare columns before training (experimental in H2O)."
    )

    @property
    def effective_max_runtime_secs(self) -> float:
        """The time budget of the whole job in seconds; 0 means none."""
        if self.max_runtime_secs is not None:
            return self.max_runtime_secs
        return 0.0 if self.max_models else DEFAULT_RUNTIME_SECONDS

    @property
    def special_columns(self) -> dict[str, str]:
        """The columns that are neither target nor feature, by the option that names them."""
        named = {"weights_column": self.weights_column, "fold_column": self.fold_column}
        return {option: column for option, column in named.items() if column is not None}

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
        return self

    @property
    def algorithms(self) -> frozenset[str]:
        """The algorithms that may be trained."""
        if self.include_algos is not None:
            return frozenset(self.include_algos)
        every = frozenset({"GLM", "DRF", "GBM", "DeepLearning", "XGBoost", "StackedEnsemble"})
        return every - frozenset(self.exclude_algos or ())

    @model_validator(mode="after")
    def _columns_have_one_role(self) -> Self:
        roles = [("target", self.target), *self.special_columns.items()]
        columns = [column for _, column in roles]
        if len(set(columns)) != len(columns):
            raise ValueError("target, weights_column and fold_column must be different columns")
        for option, column in self.special_columns.items():
            if self.features is not None and column in self.features:
                raise ValueError(f"the {option} {column!r} can't be one of the features too")
        if self.fold_column is not None and self.nfolds != -1:
            raise ValueError("give either fold_column or nfolds, not both")
        for column in self.monotone_constraints or ():
            if column in columns or (self.features is not None and column not in self.features):
                raise ValueError(f"monotone_constraints names {column!r}, which is not one of the features")
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

    def misfit(self, problem: Literal["classification", "regression"]) -> str | None:
        """Why these options don't fit that problem; None if they do. H2O trains in spite of it, and keeps nothing."""
        foreign = _REGRESSION_ONLY if problem == "classification" else _CLASSIFICATION_ONLY
        for option in ("sort_metric", "stopping_metric", "distribution"):
            value = getattr(self, option)
            if value in foreign:
                return f"{option} {value} doesn't apply to {problem}"
        if problem == "regression" and self.balance_classes:
            return "balance_classes doesn't apply to regression"
        return None

    def class_misfit(self, classes: int) -> str | None:
        """Why these options don't fit a target with so many classes; None if they do."""
        if classes == 2 and self.distribution == "multinomial":
            return "distribution multinomial needs more than two"
        if classes <= 2:
            return None
        for option in ("sort_metric", "stopping_metric", "distribution"):
            value = getattr(self, option)
            if value in _TWO_CLASSES_ONLY:
                return f"{option} {value} applies to two only"
        if self.monotone_constraints is not None:
            return "monotone_constraints apply to two only"
        return None
