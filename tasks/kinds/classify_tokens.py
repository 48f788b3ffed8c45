"""Find entities in texts, such as names and places, with a Hugging Face model."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext
from tasks.huggingface.classes import TokenClasses, TokenClassification
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import HuggingFace


class ClassifyTokens(TokenClassification):
    """Where to look, and with which model."""

    kind: Literal["classify_tokens"] = "classify_tokens"


@kind(queues=(Queue.GPU, Queue.CPU), time_limit=timedelta(hours=1), max_attempts=3, shared=True, fallback=True)
def run(spec: ClassifyTokens, job: JobContext, hf: HuggingFace) -> TokenClasses:
    return hf.classify_tokens(spec, job)
