"""Classify pictures with a Hugging Face model."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext
from tasks.huggingface.classes import ImageClassification, LabelLists
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import HuggingFace


class ClassifyImage(ImageClassification):
    """Pictures, and the model."""

    kind: Literal["classify_image"] = "classify_image"


@kind(queues=(Queue.GPU, Queue.CPU), time_limit=timedelta(hours=2), max_attempts=3, shared=True, fallback=True)
def run(spec: ClassifyImage, job: JobContext, hf: HuggingFace) -> LabelLists:
    return hf.classify_image(spec, job)
