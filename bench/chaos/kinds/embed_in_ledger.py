"""Embed texts, in batches that many jobs share."""

import os
from datetime import timedelta
from typing import Literal

from bench.chaos.contracts import ChaosSpec, Done, in_ledger
from tasks.contracts import JobContext
from tasks.embedding import TextEmbedding
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import HuggingFace

# Enough to tell each text's vector from every other's, and a small result.
NUMBERS = 16


class EmbedInLedger(ChaosSpec, TextEmbedding):
    """What to embed, and with which model."""

    kind: Literal["embed_in_ledger"] = "embed_in_ledger"


class Embedded(Done):
    """The first numbers of each text's vector."""

    vectors: list[list[float]]


@kind(queues=(Queue.CPU,), time_limit=timedelta(minutes=10), max_attempts=3, shared=True)
def run(spec: EmbedInLedger, job: JobContext, hf: HuggingFace) -> Embedded:
    with in_ledger(spec, job):
        embedded = hf.embed(spec, job)
    numbers = [vector[:NUMBERS] for vector in embedded.vectors]
    return Embedded(entry=spec.entry, attempt=job.attempt, pid=os.getpid(), vectors=numbers)
