"""Classify texts with a Hugging Face model: their mood, their topic, whatever its labels are."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext
from tasks.huggingface.classes import TextClasses, TextClassification
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import HuggingFace


class ClassifyText(TextClassification):
    """What to classify, and with which model."""

    kind: Literal["classify_text"] = "classify_text"


@kind(queues=(Queue.GPU, Queue.CPU), time_limit=timedelta(hours=1), max_attempts=3, shared=True, fallback=True)
def run(spec: ClassifyText, job: JobContext, hf: HuggingFace) -> TextClasses:
    return hf.classify_text(spec, job)
