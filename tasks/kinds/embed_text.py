"""Turn texts into vectors with a Hugging Face encoder."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext
from tasks.embedding import TextEmbedding, TextEmbeddings
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import HuggingFace


class EmbedText(TextEmbedding):
    """What to embed, and with which model."""

    kind: Literal["embed_text"] = "embed_text"


class Embeddings(TextEmbeddings):
    """The vectors."""


@kind(queues=(Queue.GPU, Queue.CPU), time_limit=timedelta(hours=1), max_attempts=3, shared=True, fallback=True)
def run(spec: EmbedText, job: JobContext, hf: HuggingFace) -> Embeddings:
    embedded = hf.embed(spec, job)
    return Embeddings.model_construct(**dict(embedded))
