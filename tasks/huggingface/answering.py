"""Answers that stand in a text."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.contracts import Frozen, JobResult, JobSpec
from tasks.huggingface.inputs import Text, Texts
from tasks.models import ModelRef


class QuestionAnswering(JobSpec):
    """Questions, the texts that answer them, and the model that finds the place."""

    model: ModelRef
    question: Text | Texts = Field(description="One question, or several.")
    context: Text | Texts = Field(description="The text that answers all questions, or one for each of them.")
    top_k: int = Field(default=1, ge=1, le=1000, description="How many answers each question gets, best first.")
    topk: int | None = Field(default=None, ge=1, le=1000, description="The old name of top_k, which takes precedence.")
    doc_stride: int | None = Field(
        default=None,
        ge=0,
        le=100_000,
        description="By how many tokens the pieces overlap that a long context is read in; by default half of "
        "max_seq_len, and 128 at most.",
    )
    max_answer_len: int = Field(default=15, ge=1, le=10_000, description="The longest answer, in tokens.")
    max_seq_len: int | None = Field(
        default=None,
        ge=8,
        le=100_000,
        description="The longest piece, question and context together, in tokens; by default what the model takes, and "
        "384 at most.",
    )
    handle_impossible_answer: bool = Field(
        default=False, description="Whether the empty answer is one: that the context has none."
    )
    align_to_words: bool = Field(
        default=True,
        description="Whether answers are made to begin and end with whole words, in languages with spaces.",
    )
    padding: Literal["do_not_pad", "max_length"] = Field(
        default="do_not_pad", description="Makes no difference to the answers; kept for those who set it."
    )

    @model_validator(mode="after")
    def _one_context_each(self) -> Self:
        if isinstance(self.context, list):
            if isinstance(self.question, str):
                raise ValueError("one question has one context; repeat the question for each context")
            if len(self.context) != len(self.question):
                raise ValueError(f"there are {len(self.question)} questions and {len(self.context)} contexts")
        if self.max_seq_len is not None and self.doc_stride is not None and self.doc_stride >= self.max_seq_len:
            raise ValueError("doc_stride has to be less than max_seq_len")
        return self


class Answer(Frozen):
    """A place in the context, counted in characters, and what stands there."""

    score: float
    start: int
    end: int
    answer: str


class Answers(JobResult):
    """For each question its answer; a list of answers where there are several."""

    outputs: list[Answer | list[Answer]]
