"""Texts made of texts: summaries, translations, and what follows a prompt."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.contracts import Frozen, JobResult
from tasks.huggingface.generation import Generating
from tasks.huggingface.inputs import MOST_INPUTS, Text, Texts

Language = Annotated[str, Field(min_length=1, max_length=40)]
_TRUNCATION = Field(
    default=False, description="Whether what is longer than the model takes is cut off, instead of refused."
)
_CLEAN_UP = Field(default=False, description="Whether spaces before punctuation are taken out.")


class Summarization(Generating):
    """Texts, and the model that makes them short."""

    texts: Texts = Field(description="What to summarize.")
    truncation: bool = _TRUNCATION
    clean_up_tokenization_spaces: bool = _CLEAN_UP


class Summary(Frozen):
    """What is left of a text."""

    summary_text: str


class Summaries(JobResult):
    """The summary of each text; a list for each text if ``num_return_sequences`` asked for several."""

    outputs: list[Summary] | list[list[Summary]]


class TextTranslation(Generating):
    """Texts, and the model that says them in another language."""

    texts: Texts = Field(description="What to translate.")
    src_lang: Language | None = Field(
        default=None,
        description="The texts' language as the model names it (en_XX, eng_Latn, en); needed if it has many.",
    )
    tgt_lang: Language | None = Field(default=None, description="The language to translate into, likewise.")
    truncation: bool = _TRUNCATION
    clean_up_tokenization_spaces: bool = _CLEAN_UP


class Translation(Frozen):
    """A text in the other language."""

    translation_text: str


class Translations(JobResult):
    """The translation of each text; a list for each text if ``num_return_sequences`` asked for several."""

    outputs: list[Translation] | list[list[Translation]]


class Message(Frozen):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: Text


Chat = Annotated[list[Message], Field(min_length=1, max_length=1000)]


class TextGeneration(Generating):
    """Prompts or chats, and the model that goes on from them.

    A model that makes texts of texts (T5, BART) is given each prompt as its input, and gives its output alone.
    """

    prompts: list[Text | Chat] = Field(
        min_length=1, max_length=MOST_INPUTS, description="Texts, or chats as lists of {role, content}."
    )
    return_full_text: bool = Field(
        default=True, description="Whether what was written follows the prompt, or is alone."
    )
    prefix: str = Field(default="", max_length=10_000, description="A text that each prompt is preceded by, unseen.")
    continue_final_message: bool | None = Field(
        default=None,
        description="Whether the chat's last message is to be continued; by default if it is the assistant's.",
    )
    clean_up_tokenization_spaces: bool = _CLEAN_UP
    stop_strings: list[Annotated[str, Field(min_length=1, max_length=200)]] | None = Field(
        default=None, min_length=1, max_length=16, description="Writing ends with the first of these that was written."
    )
    truncation: bool = _TRUNCATION
    stream: bool = Field(
        default=False,
        description="Whether the job's events tell what is written while it is: `output` with index, text.",
    )

    @model_validator(mode="after")
    def _known_while_written(self) -> Self:
        if self.stream and (self.num_beams or 1) > 1:
            raise ValueError("what beams write is only known in the end; stream with num_beams 1")
        if self.stream and (self.num_return_sequences or 1) > 1:
            raise ValueError("a stream tells one output for each prompt; leave out num_return_sequences")
        return self


class GeneratedText(Frozen):
    """What was written, after its prompt if that was asked for; a chat with its new message."""

    generated_text: str | list[Message]


class GeneratedTexts(JobResult):
    """For each prompt a list of what was written; from a model that makes texts of texts, without a list if one was
    asked for."""

    outputs: list[GeneratedText] | list[list[GeneratedText]]
