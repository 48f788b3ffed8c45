"""Classify texts by labels of your own, with a Hugging Face model trained on inference between sentences."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext
from tasks.huggingface.classes import ZeroShotClasses, ZeroShotClassification
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import HuggingFace


class ClassifyZeroShot(ZeroShotClassification):
    """What to classify, by which labels, and with which model."""

    kind: Literal["classify_zero_shot"] = "classify_zero_shot"


@kind(queues=(Queue.GPU, Queue.CPU), time_limit=timedelta(hours=1), max_attempts=3, shared=True, fallback=True)
def run(spec: ClassifyZeroShot, job: JobContext, hf: HuggingFace) -> ZeroShotClasses:
    return hf.classify_zero_shot(spec, job)
