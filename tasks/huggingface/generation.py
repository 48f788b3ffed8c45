"""How a model writes: the parameters of the library's ``generate``."""

from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from tasks.contracts import JobSpec
from tasks.models import ModelRef

MOST_NEW_TOKENS = 16_384
# Of the fields below, what is not for ``generate``.
_OTHERS = {"model", "seed"}


class Generating(JobSpec):
    """A model that writes, and how. What is not given is as the model's own settings say, else as the library's
    pipelines have it."""

    model: ModelRef
    max_new_tokens: int | None = Field(default=None, ge=1, le=MOST_NEW_TOKENS, description="The most tokens to write.")
    min_new_tokens: int | None = Field(default=None, ge=0, le=MOST_NEW_TOKENS, description="The fewest.")
    max_length: int | None = Field(
        default=None, ge=1, le=MOST_NEW_TOKENS, description="The same, counted with the prompt where it is continued."
    )
    min_length: int | None = Field(default=None, ge=0, le=MOST_NEW_TOKENS, description="The fewest, counted likewise.")
    num_beams: int | None = Field(default=None, ge=1, le=32, description="How many beginnings are followed; 1 for one.")
    num_return_sequences: int | None = Field(default=None, ge=1, le=32, description="How many outputs each input gets.")
    do_sample: bool | None = Field(
        default=None, description="Whether tokens are drawn by chance, or the likeliest taken."
    )
    temperature: float | None = Field(default=None, gt=0, le=100, description="Higher values level the chances.")
    top_k: int | None = Field(default=None, ge=0, le=1_000_000, description="Draw from the k likeliest tokens; 0: all.")
    top_p: float | None = Field(default=None, gt=0, le=1, description="Draw from the likeliest that have this chance.")
    repetition_penalty: float | None = Field(default=None, gt=0, le=100, description="Above 1, repetitions are rarer.")
    length_penalty: float | None = Field(
        default=None, ge=-100, le=100, description="Above 0, beams prefer long outputs."
    )
    no_repeat_ngram_size: int | None = Field(
        default=None, ge=0, le=1000, description="No n tokens occur twice; 0: off."
    )
    early_stopping: bool | Literal["never"] | None = Field(default=None, description="When beams are done.")
    seed: int | None = Field(
        default=None,
        ge=0,
        lt=2**31,
        description="Makes chance repeatable: each input is drawn by this number plus its place, and not in a batch.",
    )

    @model_validator(mode="after")
    def _least_below_most(self) -> Self:
        for least, most in (("min_new_tokens", "max_new_tokens"), ("min_length", "max_length")):
            low, high = getattr(self, least), getattr(self, most)
            if low is not None and high is not None and low > high:
                raise ValueError(f"{least} is more than {most}")
        return self

    def generation(self) -> dict[str, JsonValue]:
        """What was given for ``generate``, under its names."""
        named = set(Generating.model_fields) - set(JobSpec.model_fields) - _OTHERS
        return self.model_dump(include=named, exclude_none=True)
