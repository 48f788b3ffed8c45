"""Classify sounds with a Hugging Face model."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext
from tasks.huggingface.classes import AudioClassification, LabelLists
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import HuggingFace


class ClassifyAudio(AudioClassification):
    """Sounds, and the model."""

    kind: Literal["classify_audio"] = "classify_audio"


@kind(queues=(Queue.GPU, Queue.CPU), time_limit=timedelta(hours=2), max_attempts=3, shared=True, fallback=True)
def run(spec: ClassifyAudio, job: JobContext, hf: HuggingFace) -> LabelLists:
    return hf.classify_audio(spec, job)
