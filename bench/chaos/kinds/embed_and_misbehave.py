"""Embed texts beside other jobs, and then do what no job should."""

import os
import time
from datetime import timedelta
from typing import Literal

from pydantic import Field

from bench.chaos.computations import eat_memory
from bench.chaos.contracts import ChaosSpec, Done, done, in_ledger
from tasks.contracts import JobContext
from tasks.embedding import TextEmbedding
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import HuggingFace

_EXIT_CODE = 9


class EmbedAndMisbehave(ChaosSpec, TextEmbedding):
    """What to embed first. ``eat`` takes ``size_bytes`` of the memory of all who share the runner, ``exit`` ends it,
    and ``linger`` stays for ``seconds`` whoever asks it to go."""

    kind: Literal["embed_and_misbehave"] = "embed_and_misbehave"
    conduct: Literal["raise", "exit", "eat", "linger"]
    size_bytes: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)


@kind(queues=(Queue.CPU,), time_limit=timedelta(minutes=10), max_attempts=3, shared=True)
def run(spec: EmbedAndMisbehave, job: JobContext, hf: HuggingFace) -> Done:
    with in_ledger(spec, job):
        hf.embed(spec, job)
        match spec.conduct:
            case "raise":
                raise RuntimeError("as planned")
            case "exit":
                os._exit(_EXIT_CODE)
            case "eat":
                eat_memory(spec.size_bytes, spec.seconds)
            case "linger":
                time.sleep(spec.seconds)
    return done(spec, job)
