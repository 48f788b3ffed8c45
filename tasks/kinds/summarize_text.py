"""Summarize texts with a Hugging Face model."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext
from tasks.huggingface.writing import Summaries, Summarization
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import HuggingFace


class SummarizeText(Summarization):
    """What to summarize, and with which model."""

    kind: Literal["summarize_text"] = "summarize_text"


@kind(queues=(Queue.GPU, Queue.CPU), time_limit=timedelta(hours=4), max_attempts=3, shared=True, fallback=True)
def run(spec: SummarizeText, job: JobContext, hf: HuggingFace) -> Summaries:
    return hf.summarize_text(spec, job)
