"""What every kind that trains on a table asks for and answers: data, target, split, and the leader's quality."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.contracts import Frozen, Input, JobResult, JobSpec
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
    target: ColumnName = Field(description="The column to predict.")
    features: list[ColumnName] | None = Field(
        default=None, min_length=1, description="The columns to predict from; all but the target if not given."
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

    @model_validator(mode="after")
    def _data_is_consistent(self) -> Self:
        if self.features is not None:
            if len(set(self.features)) != len(self.features):
                raise ValueError("features names a column twice")
            if self.target in self.features:
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

    problem: Literal["classification", "regression"]
    rows: dict[str, int] = Field(description="Rows in train, validation (if any) and test.")
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
