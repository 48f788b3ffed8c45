"""Continue prompts and chats with a Hugging Face model, told while it is written if you like."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext
from tasks.huggingface.writing import GeneratedTexts, TextGeneration
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import HuggingFace


class GenerateText(TextGeneration):
    """What to go on from, and with which model."""

    kind: Literal["generate_text"] = "generate_text"


@kind(queues=(Queue.GPU, Queue.CPU), time_limit=timedelta(hours=4), max_attempts=3, shared=True, fallback=True)
def run(spec: GenerateText, job: JobContext, hf: HuggingFace) -> GeneratedTexts:
    return hf.generate_text(spec, job)
