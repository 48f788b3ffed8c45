"""What belongs into a text's gaps."""

from typing import Annotated

from pydantic import Field

from tasks.contracts import Frozen, JobResult, JobSpec
from tasks.huggingface.inputs import Texts
from tasks.models import ModelRef


class MaskFilling(JobSpec):
    """Texts with gaps, and the model that fills them."""

    model: ModelRef
    texts: Texts = Field(description="Texts in which the model's mask token (such as [MASK] or <mask>) marks the gaps.")
    top_k: int = Field(default=5, ge=1, le=10_000, description="How many fillings each gap gets, best first.")
    targets: list[Annotated[str, Field(min_length=1, max_length=1000)]] | None = Field(
        default=None, min_length=1, max_length=1000, description="Choose from these words alone."
    )
    truncation: bool = Field(
        default=False, description="Whether what is longer than the model takes is cut off, instead of refused."
    )


class Filling(Frozen):
    """A token for the gap, and the text with it."""

    score: float
    token: int
    token_str: str
    sequence: str


class Fillings(JobResult):
    """For each text the fillings of its gap; for a text of several gaps, a list of fillings for each."""

    outputs: list[list[Filling] | list[list[Filling]]]
