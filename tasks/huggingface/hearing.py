"""What was said."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.contracts import Frozen, JobResult, JobSpec
from tasks.huggingface.generation import MOST_NEW_TOKENS
from tasks.huggingface.inputs import Files
from tasks.models import ModelRef

Seconds = Annotated[float, Field(ge=0, le=600)]


class Transcription(JobSpec):
    """Speech, and the model that writes it down."""

    model: ModelRef
    audio: Files = Field(description="WAV, FLAC, MP3, OGG or AIFF; mixed down to one channel.")
    return_timestamps: bool | Literal["char", "word"] = Field(
        default=False,
        description="Tell when it was said: by word or char (models with CTC), by word or, if true, segment (Whisper).",
    )
    chunk_length_s: Seconds = Field(
        default=0, description="Hear long speech in pieces of so many seconds; 0: at once, or in Whisper's own way."
    )
    stride_length_s: Seconds | tuple[Seconds, Seconds] | None = Field(
        default=None, description="How much pieces overlap, left and right; by default a sixth of chunk_length_s."
    )
    language: str | None = Field(default=None, min_length=2, max_length=40, description="What is spoken (Whisper).")
    task: Literal["transcribe", "translate"] | None = Field(
        default=None, description="Whether it is to be written as spoken, or in English (Whisper)."
    )
    max_new_tokens: int | None = Field(default=None, ge=1, le=MOST_NEW_TOKENS, description="The most tokens to write.")
    num_beams: int | None = Field(default=None, ge=1, le=32, description="How many beginnings are followed; 1 for one.")

    @model_validator(mode="after")
    def _strides_fit(self) -> Self:
        if self.stride_length_s is None:
            return self
        if not self.chunk_length_s:
            raise ValueError("stride_length_s needs a chunk_length_s")
        stride = self.stride_length_s
        if (sum(stride) if isinstance(stride, tuple) else 2 * stride) >= self.chunk_length_s:
            raise ValueError("the strides of both sides have to be less than chunk_length_s")
        return self


class Spoken(Frozen):
    """A part of what was said, from second to second; null where the model names no end."""

    text: str
    timestamp: tuple[float | None, float | None]


class Transcript(Frozen):
    """What was said."""

    text: str


class TimedTranscript(Frozen):
    """What was said, and when."""

    text: str
    chunks: list[Spoken]


class Transcripts(JobResult):
    """What was said in each file."""

    outputs: list[TimedTranscript | Transcript]
