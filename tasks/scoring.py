"""What scoring a table asks for and answers, whatever library made the model."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.contracts import Frozen, Input, JobResult, JobSpec
from tasks.tables.encodings import ENCODING_HELP, Encoding

MOST_ROWS = 10_000
Cell = str | float | int | bool | None


class TableScoring(JobSpec):
    """A trained model, and the rows that it is to predict."""

    model: Input = Field(
        description="A model as a MOJO: a named one, a model that a training kept, or an uploaded file."
    )
    rows: list[dict[str, Cell]] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_ROWS,
        description="Rows by column name, null for a missing value. Give either these or a dataset.",
    )
    dataset: Input | None = Field(
        default=None,
        description="A table: CSV (may be gzipped) with a header line, or Parquet. Further columns are ignored.",
    )
    encoding: Encoding = Field(default="auto", description=ENCODING_HELP)
    contributions: bool = Field(
        default=False,
        description="Add each feature's contribution (SHAP value) to each prediction; GBM, DRF and XGBoost only.",
    )
    format: Literal["csv", "parquet"] = Field(
        default="csv", description="What the predictions of a dataset are written as."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.rows is None) == (self.dataset is None):
            raise ValueError("give either rows or dataset")
        return self


class Prediction(Frozen):
    """One row's answer: ``predict`` is a class, a number, or the number of a cluster.

    ``probabilities`` has one for each class; ``contributions`` one for each feature, and BiasTerm, which sum up to the
    prediction on the model's own scale (for two classes the log of the odds).
    """

    predict: str | float | None
    probabilities: dict[str, float] | None = None
    contributions: dict[str, float] | None = None


class ScoringResult(JobResult):
    """Predictions in the order of the rows: inline for rows, as an artifact for a dataset."""

    category: str = Field(description="What the model predicts, in H2O's words, such as Binomial or Regression.")
    algo: str
    target: str | None = Field(description="The column that it predicts; None for a model without one.")
    classes: list[str] = Field(default=[], description="The classes that it tells apart, if it does.")
    features: list[str] = Field(description="The columns that it predicts from.")
    rows: int
    predictions: list[Prediction] | None = None
    artifacts: dict[str, list[str]] = Field(default={}, description="Names of the job's artifacts, by what they are.")
    warnings: list[str] = Field(default=[], description="Values that the model never saw and that count as missing.")
    model_was_loaded: bool = Field(description="Whether the model had to be loaded, or was still there.")
