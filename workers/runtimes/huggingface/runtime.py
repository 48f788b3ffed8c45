"""The ``tasks.runtimes.HuggingFace`` of one runner."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from transformers import AutoModel

from tasks.contracts import JobContext
from tasks.embedding import TextEmbedding, TextEmbeddings
from tasks.models import ModelRef
from workers.inference.batcher import Group
from workers.inference.workbench import Workbench
from workers.runtimes.huggingface.embedding import encoder, manner_of, tokenize
from workers.runtimes.huggingface.loading import Loaded, held_bytes, load


@dataclass(frozen=True)
class Model:
    """A model in use: what was loaded, and what tells it from others."""

    loaded: Loaded
    identity: str


class HuggingFaceRuntime:
    """Tokenizes in the job's own thread, and computes in the device's."""

    runtime_name: ClassVar[str] = "huggingface"

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        torch.set_num_threads(workbench.threads)

    def embed(self, spec: TextEmbedding, job: JobContext) -> TextEmbeddings:
        with self._using(spec.model, job, AutoModel) as model:
            manner = manner_of(spec, model.loaded)
            tokenized = tokenize(spec, model.loaded)
            group = Group(("embed_text", model.identity, manner))
            vectors = self._workbench.batcher.run(job, group, tokenized.items, encoder(model.loaded, manner))
        return TextEmbeddings.model_construct(
            vectors=[vector.tolist() for vector in vectors],
            dimensions=len(vectors[0]),
            truncated=list(tokenized.truncated),
        )

    @contextmanager
    def _using(self, ref: ModelRef, job: JobContext, network_class: Any) -> Iterator[Model]:
        """The model, which stays loaded meanwhile."""
        folder = self._workbench.sources.folder(ref, job)
        with self._workbench.cache.using(
            (folder.identity, network_class.__name__),
            job,
            name=folder.name,
            needs_bytes=folder.weight_bytes,
            load=lambda: load(folder.path, network_class, self._workbench.device),
            held_bytes=held_bytes,
        ) as loaded:
            yield Model(loaded, folder.identity)
