"""Classes of texts, of their tokens, of sounds and of pictures."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.contracts import Frozen, JobResult, JobSpec
from tasks.huggingface.inputs import MOST_INPUTS, Files, Text, Texts
from tasks.models import ModelRef

MOST_PAIRS = 20_480
FunctionToApply = Literal["softmax", "sigmoid", "none"]
TopK = Annotated[int, Field(ge=1, le=100_000)]
AggregationStrategy = Literal["none", "simple", "first", "average", "max"]
_FUNCTION = Field(
    default=None, description="What makes scores of the model's numbers; by default as fits the model's sort of labels."
)


class ClassScore(Frozen):
    """A label and how sure the model is of it."""

    label: str
    score: float


class TextPair(Frozen):
    """Two texts that the model looks at together."""

    text: Text
    text_pair: Text


class TextClassification(JobSpec):
    """Texts, and the model that has a label for each."""

    model: ModelRef
    texts: list[Text | TextPair] = Field(min_length=1, max_length=MOST_INPUTS, description="What to classify.")
    top_k: TopK | None = Field(
        default=1,
        description="How many labels each text gets, best first; null for all. If it is not given, each text gets its "
        "best label, and no list.",
    )
    function_to_apply: FunctionToApply | None = _FUNCTION
    truncation: bool = Field(
        default=False, description="Whether what is longer than the model takes is cut off, instead of refused."
    )
    max_length: int | None = Field(default=None, ge=3, le=1_000_000, description="Where to cut off, in tokens.")

    @model_validator(mode="after")
    def _length_is_cut(self) -> Self:
        if self.max_length is not None and not self.truncation:
            raise ValueError("max_length says where to cut off; set truncation to true as well")
        return self


class TextClasses(JobResult):
    """For each text its best label, or a list of labels if ``top_k`` was given."""

    outputs: list[ClassScore | list[ClassScore]]


class TokenClassification(JobSpec):
    """Texts, and the model that has a label for each of their tokens."""

    model: ModelRef
    texts: Texts = Field(description="Where to look for entities.")
    aggregation_strategy: AggregationStrategy = Field(
        default="none",
        description="How tokens become entities: not at all; neighbours of one label (simple); the same by words, "
        "whose label is that of their first token, of their tokens' average, or of their surest token.",
    )
    ignore_labels: list[str] = Field(default=["O"], max_length=1000, description="Labels that are left out.")
    stride: int | None = Field(
        default=None,
        ge=0,
        le=100_000,
        description="Read what is longer than the model takes in pieces that overlap by so many tokens, instead of "
        "cutting it off. Needs an aggregation_strategy.",
    )


class TokenEntity(Frozen):
    """A token with its label; ``start`` and ``end`` are places in the text, counted in characters."""

    entity: str
    score: float
    index: int
    word: str
    start: int | None
    end: int | None


class EntityGroup(Frozen):
    """Tokens that make an entity together."""

    entity_group: str
    score: float
    word: str
    start: int | None
    end: int | None


class TokenClasses(JobResult):
    """For each text its tokens, or its entities, that have a label."""

    outputs: list[list[TokenEntity | EntityGroup]]


class ZeroShotClassification(JobSpec):
    """Texts, labels that nobody was trained for, and a model that tells whether one sentence follows from another."""

    model: ModelRef
    sequences: Texts = Field(description="What to classify; what is longer than the model takes is cut off.")
    candidate_labels: list[Annotated[str, Field(min_length=1, max_length=1000)]] = Field(
        min_length=1, max_length=200, description="The labels to choose from."
    )
    hypothesis_template: str = Field(
        default="This example is {}.", max_length=1000, description="A sentence, with {} in the label's place."
    )
    multi_label: bool = Field(
        default=False, description="Whether several labels may hold; if not, a text's scores sum up to 1."
    )

    @model_validator(mode="after")
    def _few_pairs(self) -> Self:
        pairs = len(self.sequences) * len(self.candidate_labels)
        if pairs > MOST_PAIRS:
            raise ValueError(f"{pairs} pairs of a text and a label are too many for one job; {MOST_PAIRS} are allowed")
        return self

    @field_validator("hypothesis_template")
    @classmethod
    def _has_place_for_label(cls, template: str) -> str:
        if template.count("{}") != 1 or template.count("{") != 1 or template.count("}") != 1:
            raise ValueError("a template has {} in it once, in the label's place, and no other braces")
        return template


class ZeroShotClass(Frozen):
    """A text and its labels, best first."""

    sequence: str
    labels: list[str]
    scores: list[float]


class ZeroShotClasses(JobResult):
    """The labels of each text."""

    outputs: list[ZeroShotClass]


class AudioClassification(JobSpec):
    """Sounds, and the model that has a label for each."""

    model: ModelRef
    audio: Files = Field(description="WAV, FLAC, MP3, OGG or AIFF; mixed down to one channel.")
    top_k: TopK | None = Field(default=5, description="How many labels each sound gets, best first; null for all.")
    function_to_apply: FunctionToApply | None = _FUNCTION


class ImageClassification(JobSpec):
    """Pictures, and the model that has a label for each."""

    model: ModelRef
    images: Files = Field(description="PNG, JPEG, WebP, GIF, BMP or TIFF; of several frames the first one counts.")
    top_k: TopK = Field(default=5, description="How many labels each picture gets, best first.")
    function_to_apply: FunctionToApply | None = _FUNCTION


class LabelLists(JobResult):
    """The labels of each input, best first."""

    outputs: list[list[ClassScore]]
