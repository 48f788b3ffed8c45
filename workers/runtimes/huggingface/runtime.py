"""The ``tasks.runtimes.HuggingFace`` of one runner."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import transformers
from transformers import AutoModel

from tasks.contracts import JobContext
from tasks.embedding import TextEmbedding, TextEmbeddings
from tasks.huggingface.answering import Answers, QuestionAnswering
from tasks.huggingface.classes import (
    AudioClassification,
    ImageClassification,
    LabelLists,
    TextClasses,
    TextClassification,
    TokenClasses,
    TokenClassification,
    ZeroShotClasses,
    ZeroShotClassification,
)
from tasks.huggingface.filling import Fillings, MaskFilling
from tasks.huggingface.hearing import Transcription, Transcripts
from tasks.huggingface.writing import (
    GeneratedTexts,
    Summaries,
    Summarization,
    TextGeneration,
    TextTranslation,
    Translations,
)
from tasks.models import ModelRef
from workers.inference.batcher import Group
from workers.inference.workbench import Workbench
from workers.runtimes.huggingface import purposes
from workers.runtimes.huggingface.answers import answer_question
from workers.runtimes.huggingface.continued_texts import continue_text
from workers.runtimes.huggingface.desk import Desk
from workers.runtimes.huggingface.embedding import encoder, manner_of, tokenize
from workers.runtimes.huggingface.equipment import equip, weights_bytes
from workers.runtimes.huggingface.loading import Loaded, held_bytes, load
from workers.runtimes.huggingface.masks import fill_mask
from workers.runtimes.huggingface.pictures import classify_image
from workers.runtimes.huggingface.purposes import Purpose
from workers.runtimes.huggingface.sounds import classify_audio, transcribe_audio
from workers.runtimes.huggingface.text_classes import classify_text, classify_tokens, classify_zero_shot
from workers.runtimes.huggingface.written_texts import rewrite_text, summarize_text, translate_text


@dataclass(frozen=True)
class Model:
    """A model in use: what was loaded, and what tells it from others."""

    loaded: Loaded
    identity: str


class HuggingFaceRuntime:
    """Tokenizes in the job's own thread, and computes in the device's."""

    runtime_name: ClassVar[str] = "huggingface"

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        torch.set_num_threads(workbench.threads)
        transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]

    def embed(self, spec: TextEmbedding, job: JobContext) -> TextEmbeddings:
        with self._using(spec.model, job, AutoModel) as model:
            manner = manner_of(spec, model.loaded)
            tokenized = tokenize(spec, model.loaded)
            group = Group(("embed_text", model.identity, manner))
            vectors = self._workbench.batcher.run(job, group, tokenized.items, encoder(model.loaded, manner))
        return TextEmbeddings.model_construct(
            vectors=[vector.tolist() for vector in vectors],
            dimensions=len(vectors[0]),
            truncated=list(tokenized.truncated),
        )

    def classify_text(self, spec: TextClassification, job: JobContext) -> TextClasses:
        with self._desk(purposes.CLASSIFY_TEXT, spec.model, job) as desk:
            return classify_text(spec, desk)

    def classify_tokens(self, spec: TokenClassification, job: JobContext) -> TokenClasses:
        with self._desk(purposes.CLASSIFY_TOKENS, spec.model, job) as desk:
            return classify_tokens(spec, desk)

    def classify_zero_shot(self, spec: ZeroShotClassification, job: JobContext) -> ZeroShotClasses:
        with self._desk(purposes.CLASSIFY_ZERO_SHOT, spec.model, job) as desk:
            return classify_zero_shot(spec, desk)

    def fill_mask(self, spec: MaskFilling, job: JobContext) -> Fillings:
        with self._desk(purposes.FILL_MASK, spec.model, job) as desk:
            return fill_mask(spec, desk)

    def answer_question(self, spec: QuestionAnswering, job: JobContext) -> Answers:
        with self._desk(purposes.ANSWER_QUESTION, spec.model, job) as desk:
            return answer_question(spec, desk)

    def summarize_text(self, spec: Summarization, job: JobContext) -> Summaries:
        with self._desk(purposes.SUMMARIZE_TEXT, spec.model, job) as desk:
            return summarize_text(spec, desk)

    def translate_text(self, spec: TextTranslation, job: JobContext) -> Translations:
        with self._desk(purposes.TRANSLATE_TEXT, spec.model, job) as desk:
            return translate_text(spec, desk)

    def generate_text(self, spec: TextGeneration, job: JobContext) -> GeneratedTexts:
        with self._desk(purposes.GENERATE_TEXT, spec.model, job) as desk:
            return (rewrite_text if desk.equipped.config.is_encoder_decoder else continue_text)(spec, desk)

    def classify_audio(self, spec: AudioClassification, job: JobContext) -> LabelLists:
        with self._desk(purposes.CLASSIFY_AUDIO, spec.model, job) as desk:
            return classify_audio(spec, desk)

    def transcribe_audio(self, spec: Transcription, job: JobContext) -> Transcripts:
        with self._desk(purposes.TRANSCRIBE_AUDIO, spec.model, job) as desk:
            return transcribe_audio(spec, desk)

    def classify_image(self, spec: ImageClassification, job: JobContext) -> LabelLists:
        with self._desk(purposes.CLASSIFY_IMAGE, spec.model, job) as desk:
            return classify_image(spec, desk)

    @contextmanager
    def _desk(self, purpose: Purpose, ref: ModelRef, job: JobContext) -> Iterator[Desk]:
        """The model, equipped for its purpose; it stays loaded meanwhile."""
        folder = self._workbench.sources.folder(ref, job)
        with self._workbench.cache.using(
            (folder.identity, purpose.held_as),
            job,
            name=folder.name,
            needs_bytes=folder.weight_bytes,
            load=lambda: equip(folder, purpose, self._workbench.device),
            held_bytes=weights_bytes,
        ) as equipped:
            yield Desk(equipped, (purpose.name, folder.identity), job, self._workbench.batcher)

    @contextmanager
    def _using(self, ref: ModelRef, job: JobContext, network_class: Any) -> Iterator[Model]:
        """The model, which stays loaded meanwhile."""
        folder = self._workbench.sources.folder(ref, job)
        with self._workbench.cache.using(
            (folder.identity, network_class.__name__),
            job,
            name=folder.name,
            needs_bytes=folder.weight_bytes,
            load=lambda: load(folder, network_class, self._workbench.device),
            held_bytes=held_bytes,
        ) as loaded:
            yield Model(loaded, folder.identity)
