"""Celery as people write it for inference: one call of transformers' pipeline in a task.

``PLAIN_BROKER`` says where tasks and results lie. Each process of the pool loads the model once, when it starts, and
computes with one thread, as the pool has a process for each core.
"""

import os

import torch
from celery import Celery
from celery.signals import worker_process_init
from transformers import Pipeline, pipeline

from bench.inference_parts.texts import MODEL, MOST_TOKENS

_BROKER = os.environ.get("PLAIN_BROKER", "memory://")
_pipelines: list[Pipeline] = []

celery = Celery("plain", broker=_BROKER, backend=_BROKER)
celery.conf.broker_connection_retry_on_startup = True
# Else a process that takes more than 4 s to load its model is ended.
celery.conf.worker_proc_alive_timeout = 120


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _load(**_signal: object) -> None:
    torch.set_num_threads(1)
    _pipelines.append(
        pipeline(
            "feature-extraction", model=str(MODEL), tokenize_kwargs={"truncation": True, "max_length": MOST_TOKENS}
        )
    )


@celery.task(name="embed")  # type: ignore[untyped-decorator]
def embed(text: str) -> list[float]:
    vector: list[float] = _pipelines[0](text, return_tensors=True)[0].mean(dim=0).tolist()
    return vector


@celery.task(name="embed_all")  # type: ignore[untyped-decorator]
def embed_all(texts: list[str]) -> list[list[float]]:
    """One by one within the pipeline: in its batches it gives no way to tell padding from tokens, so means would be
    wrong."""
    return [tokens[0].mean(dim=0).tolist() for tokens in _pipelines[0](texts, return_tensors=True)]
