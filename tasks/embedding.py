"""What embedding texts asks for and answers."""

from typing import Annotated, Literal

from pydantic import Field

from tasks.contracts import JobResult, JobSpec
from tasks.models import ModelRef

MOST_TEXTS = 1024

Text = Annotated[str, Field(max_length=100_000)]


class TextEmbedding(JobSpec):
    """Texts, and the model that makes a vector of each."""

    model: ModelRef
    texts: list[Text] = Field(min_length=1, max_length=MOST_TEXTS, description="What to embed.")
    pooling: Literal["auto", "mean", "cls"] = Field(
        default="auto",
        description="How the vectors of a text's tokens become one: their mean, or the first one; auto is as the model "
        "says, else the mean.",
    )
    normalize: bool | None = Field(
        default=None, description="Whether each vector gets the length 1; by default as the model says, else not."
    )
    truncation: bool = Field(
        default=True, description="Whether what is longer than the model takes is cut off, instead of refused."
    )


class TextEmbeddings(JobResult):
    """One vector for each text, in the order of the texts."""

    vectors: list[list[float]]
    dimensions: int
    truncated: list[int] = Field(default=[], description="Which texts were cut off, counted from 0.")
