"""Translate texts with a Hugging Face model."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext
from tasks.huggingface.writing import TextTranslation, Translations
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import HuggingFace


class TranslateText(TextTranslation):
    """What to translate, and with which model."""

    kind: Literal["translate_text"] = "translate_text"


@kind(queues=(Queue.GPU, Queue.CPU), time_limit=timedelta(hours=4), max_attempts=3, shared=True, fallback=True)
def run(spec: TranslateText, job: JobContext, hf: HuggingFace) -> Translations:
    return hf.translate_text(spec, job)
