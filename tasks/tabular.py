"""What every kind that trains on a table asks for and answers: data, target, split, and the best model's quality."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.contracts import Frozen, Input, JobResult, JobSpec
from tasks.h2o.fitness import class_misfit, misfit
from tasks.tables.encodings import ENCODING_HELP, Encoding

Problem = Literal["auto", "classification", "regression"]
ColumnType = Literal["numeric", "enum", "time", "string"]
# The result tells each with its artifact, and a result has 256 KB at most.
MOST_KEPT_MODELS = 500
ColumnName = Annotated[str, Field(min_length=1, max_length=1000)]


class Split(Frozen):
    """Shares of the rows, drawn at random: train and test, or train, validation and test."""

    ratios: list[float] = Field(
        default=[0.8, 0.2],
        min_length=2,
        max_length=3,
        description="Two shares (train, test) or three (train, validation, test) that sum to 1.",
    )
    seed: int = Field(
        default=1, ge=0, le=2**53 - 1, description="The same seed on the same data gives the same rows to each part."
    )

    @model_validator(mode="after")
    def _shares_fill_one(self) -> Self:
        if any(not 0 < ratio < 1 for ratio in self.ratios):
            raise ValueError("each share in ratios must lie between 0 and 1")
        if not math.isclose(sum(self.ratios), 1.0, abs_tol=1e-6):
            raise ValueError(f"ratios must sum to 1, but they sum to {sum(self.ratios):g}")
        return self


class TableTraining(JobSpec):
    """A table, what to predict from what, and which rows to hold out."""

    dataset: Input = Field(description="The table: CSV (may be gzipped) with a header line, or Parquet.")
    target: ColumnName | None = Field(default=None, description="The column to predict.")
    features: list[ColumnName] | None = Field(
        default=None, min_length=1, description="The columns to learn from; all others if not given."
    )
    encoding: Encoding = Field(default="auto", description=ENCODING_HELP)
    types: dict[ColumnName, ColumnType] | None = Field(
        default=None,
        min_length=1,
        description=(
            "What columns are read as, where H2O's guess from the data is wrong (GET /v1/files/{id} shows it): "
            "numeric, enum (categories), time, or string, which no model learns from."
        ),
    )
    problem: Problem = Field(
        default="auto",
        description=(
            "auto: a target of text, true/false, or at most 20 distinct whole numbers means classification, "
            "anything else regression."
        ),
    )
    split: Split | None = Field(
        default=None,
        description="How to hold out rows of the dataset for testing; 80:20 if neither this nor test_dataset is given.",
    )
    validation_dataset: Input | None = Field(
        default=None, description="Rows for validation, in a table of their own with the same columns."
    )
    test_dataset: Input | None = Field(
        default=None, description="Rows for the final test, in a table of their own with the same columns."
    )
    keep_models: Annotated[int, Field(ge=1, le=MOST_KEPT_MODELS)] | Literal["all"] | None = Field(
        default=None,
        description=(
            "How many of the best models to keep as artifacts, to score with or to name: a number, or all (500 at "
            "most); if not given, the leader and the best model that is no ensemble."
        ),
    )
    explain: bool = Field(default=True, description="Explain the models afterwards, as tables and pictures.")
    weights_column: ColumnName | None = Field(default=None, description="Column with each row's weight.")
    fold_column: ColumnName | None = Field(default=None, description="Column that assigns each row to a fold.")

    @property
    def datasets(self) -> dict[str, Input]:
        """All tables by role: ``dataset``, ``validation``, ``test``, …"""
        named = {"dataset": self.dataset, "validation": self.validation_dataset, "test": self.test_dataset}
        return {role: source for role, source in named.items() if source is not None}

    @property
    def special_columns(self) -> dict[str, str]:
        """The columns that are neither target nor feature, by the option that names them."""
        named = {"weights_column": self.weights_column, "fold_column": self.fold_column}
        return {option: column for option, column in named.items() if column is not None}

    @property
    def algorithms(self) -> frozenset[str]:
        """The algorithms that may be trained."""
        raise NotImplementedError

    @property
    def effective_max_runtime_secs(self) -> float:
        """The time budget of the whole job in seconds; 0 means none."""
        raise NotImplementedError

    @property
    def effective_max_models(self) -> int:
        """The most models that will be trained, ensembles not counted; 0 if nothing limits them."""
        raise NotImplementedError

    @property
    def folds(self) -> int:
        """Folds of the cross-validation; 0 without one, or if a column assigns them."""
        raise NotImplementedError

    @property
    def sampling_factors(self) -> list[float] | None:
        """The sampling ratio of each class, if any are given."""
        return None

    @property
    def options(self) -> dict[str, list[object]]:
        """The options that may not fit a target, each with the values that it can take."""
        raise NotImplementedError

    @property
    def named_features(self) -> dict[str, list[str]]:
        """Columns that have to be features, by the option that names them."""
        return {}

    def misfit(self, problem: Literal["classification", "regression"]) -> str | None:
        """Why these options don't fit that problem; None if they do. H2O trains in spite of it, and keeps nothing."""
        return misfit(self.options, problem)

    def class_misfit(self, classes: int) -> str | None:
        """Why these options don't fit a target with so many classes; None if they do."""
        return class_misfit(self.options, classes)

    @model_validator(mode="after")
    def _data_is_consistent(self) -> Self:
        if self.features is not None:
            if len(set(self.features)) != len(self.features):
                raise ValueError("features names a column twice")
            if self.target is not None and self.target in self.features:
                raise ValueError(f"the target {self.target!r} can't be one of the features too")
        if self.target in (self.types or ()):
            raise ValueError(f"types can't name the target {self.target!r}; say by problem what it is")
        for name in self.features or ():
            if (self.types or {}).get(name) == "string":
                raise ValueError(f"features names {name!r}, but types makes it a string, which no model learns from")
        if self.split is not None and self.test_dataset is not None:
            raise ValueError("give either split or test_dataset, not both")
        if self.split is not None and len(self.split.ratios) == 3 and self.validation_dataset is not None:
            raise ValueError("give either three ratios or validation_dataset, not both")
        return self

    @model_validator(mode="after")
    def _columns_have_one_role(self) -> Self:
        columns = [*(() if self.target is None else (self.target,)), *self.special_columns.values()]
        if len(set(columns)) != len(columns):
            raise ValueError("target, weights_column and fold_column must be different columns")
        for option, column in self.special_columns.items():
            if self.features is not None and column in self.features:
                raise ValueError(f"the {option} {column!r} can't be one of the features too")
        for option, names in self.named_features.items():
            for column in names:
                if column in columns or (self.features is not None and column not in self.features):
                    raise ValueError(f"{option} names {column!r}, which is not one of the features")
        return self

    @property
    def effective_split(self) -> Split | None:
        """The split to make; None where the test rows come in a table of their own."""
        if self.test_dataset is not None:
            return None
        return self.split or Split()


class ConfusionMatrix(Frozen):
    """``matrix[i][j]``: test rows of class ``labels[i]`` that were predicted to be ``labels[j]``. A row counts
    once, whatever its weight.
    """

    labels: list[str]
    matrix: list[list[int]]


class TrainingResult(JobResult):
    """What a training on a table found; the models themselves and all tables are artifacts."""

    problem: Literal["classification", "regression", "unsupervised"]
    rows: dict[str, int] = Field(description="Rows in train, validation (if any), test, and other tables given.")
    leader: str = Field(description="Id of the best model.")
    leader_algo: str
    sort_metric: str = Field(description="The metric that the leaderboard is sorted by.")
    models: int = Field(description="How many models the leaderboard has.")
    test_metrics: dict[str, float | None] = Field(
        description="The leader's quality on the test rows, weighted if the rows are; accuracy counts rows."
    )
    confusion_matrix: ConfusionMatrix | None = Field(default=None, description="On the test rows; classification only.")
    runs: int = Field(description="How many trainings it took: more than 1 if a cluster was lost.")
    stopped_early: bool = Field(default=False, description="Whether the training was stopped and kept its best so far.")
    artifacts: dict[str, list[str]] = Field(description="Names of the job's artifacts, by what they are.")
    kept_models: dict[str, str] = Field(
        default={}, description="The artifacts of the models that were kept, by their ids; the leader's first."
    )
    explanation_missing: list[str] = Field(
        default=[], description="Parts of the explanation that could not be made; the log says why."
    )
    warnings: list[str] = Field(default=[], description="What H2O warned of, and what was repaired on the way.")
