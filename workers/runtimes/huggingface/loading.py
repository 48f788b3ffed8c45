"""Loading a model's directory: its tokenizer and its network, in the form that one sort of kind needs."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer
from transformers.pipelines.base import PipelineException

from tasks.errors import ModelLoadFailed
from workers.inference.errors import DeviceLost, DeviceOutOfMemory
from workers.inference.model_source import ModelFolder
from workers.runtimes.huggingface.packing import pack

# The library changes torch's own state while it loads: of two threads at once, one gets a model without weights.
_ONE_LOADS = threading.Lock()
# What transformers writes where a tokenizer names no limit.
_NO_LIMIT = 1_000_000
# Under these names every tokenizer of the library finds a vocabulary, beside those that its class names.
_VOCABULARIES = {"tokenizer.json", "vocab.json", "vocab.txt", "tekken.json"}
_VOCABULARY_ENDINGS = (".model", ".tiktoken")


@dataclass(frozen=True)
class Loaded:
    """A model on its device. ``folder`` is where it came from; ``most_tokens`` is what an input may have, if limited.

    A tokenizer keeps how it cuts off, so threads may only use it under ``tokenizing``.
    """

    folder: Path
    tokenizer: Any
    network: Any
    device: str
    most_tokens: int | None
    tokenizing: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def pooling(self) -> Mapping[str, Any]:
        """What sentence-transformers' file beside the model says of pooling."""
        return dict(read_json(self.folder / "1_Pooling" / "config.json") or {})

    @cached_property
    def modules(self) -> Sequence[Mapping[str, Any]]:
        """The steps that its other file names."""
        return list(read_json(self.folder / "modules.json") or ())


def load(folder: ModelFolder, network_class: Any, device: str) -> Loaded:
    """Raises ``ModelLoadFailed`` and ``DeviceOutOfMemory``."""
    with loading(folder):
        tokenizer = load_tokenizer(folder)
        network, report = network_class.from_pretrained(
            folder.path,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32 if device == "cpu" else "auto",
            output_loading_info=True,
        )
        # Nothing here asks the pooler, which models that were trained for something else don't have.
        require_whole((name for name in report["missing_keys"] if not name.startswith("pooler.")), folder)
        settle(network, device)
    return Loaded(folder.path, tokenizer, network, device, _most_tokens(folder.path, tokenizer, network.config))


def settle(network: Any, device: str) -> None:
    """Put it where it is to compute, which is all that it will do."""
    network.eval().requires_grad_(False).to(device)
    if device == "cpu":
        pack(network)


def load_tokenizer(folder: ModelFolder) -> Any:
    """Raises ``ModelLoadFailed`` for a model without a vocabulary: the library would make an empty one."""
    tokenizer = AutoTokenizer.from_pretrained(folder.path, local_files_only=True, trust_remote_code=False)
    named = {*tokenizer.vocab_files_names.values()} - {"tokenizer_config.json"}
    there = {file.name for file in folder.path.iterdir()}
    if named and not there & (named | _VOCABULARIES) and not any(name.endswith(_VOCABULARY_ENDINGS) for name in there):
        raise ModelLoadFailed(f"The model {folder.name} has no vocabulary: a file such as tokenizer.json is missing.")
    return tokenizer


def require_whole(missing: Iterable[str], folder: ModelFolder) -> None:
    """Raises ``ModelLoadFailed`` if weights are missing: the library would draw them by chance."""
    if names := sorted(missing):
        raise ModelLoadFailed(
            f"The model {folder.name} lacks weights ({', '.join(names[:3])}); choose one that is whole."
        )


def held_bytes(loaded: Loaded) -> int:
    """What its weights take."""
    tensors = [*loaded.network.parameters(), *loaded.network.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def read_json(path: Path) -> Any:
    """Its content; an empty object if there is no such file."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as exc:
        raise ModelLoadFailed(f"The model's file {path.name} is no JSON.") from exc


@contextmanager
def on_device() -> Iterator[None]:
    """Say in the batcher's words what a device says that fails."""
    try:
        with torch.inference_mode():
            yield
    except torch.OutOfMemoryError as exc:
        raise DeviceOutOfMemory(_first_line(exc)) from exc
    except torch.AcceleratorError as exc:
        raise DeviceLost(_first_line(exc)) from exc
    except RuntimeError as exc:
        if "can't allocate memory" in str(exc):
            raise DeviceOutOfMemory(_first_line(exc)) from exc
        raise


def computing(compute: Callable[..., Any]) -> Callable[..., Any]:
    """``compute`` as the batcher may call it."""

    def guarded(values: Any) -> Any:
        with on_device():
            return compute(values)

    return guarded


@contextmanager
def loading(folder: ModelFolder) -> Iterator[None]:
    """For one thread at a time. Raises ``ModelLoadFailed`` for what the library says of a model that it can't load,
    with the model's name in the place of where it lies."""
    try:
        with _ONE_LOADS, on_device():
            yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, PipelineException) as exc:
        why = _first_line(str(exc).replace(str(folder.path), folder.name))
        raise ModelLoadFailed(f"The model {folder.name} can't be loaded: {why}") from exc


def _most_tokens(folder: Path, tokenizer: Any, config: Any) -> int | None:
    """The least of what the model's files name."""
    named = [
        read_json(folder / "sentence_bert_config.json").get("max_seq_length"),
        tokenizer.model_max_length if tokenizer.model_max_length < _NO_LIMIT else None,
        getattr(config, "max_position_embeddings", None),
    ]
    return min((limit for limit in named if limit), default=None)


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0][:300]
