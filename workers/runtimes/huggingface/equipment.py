"""A network with what prepares its inputs and makes answers of its outputs: the stages of the library's pipelines."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers

from workers.inference.model_source import ModelFolder
from workers.runtimes.huggingface.loading import load_tokenizer, loading, read_json, require_whole, settle
from workers.runtimes.huggingface.purposes import Purpose

_NO_LIMIT = 1_000_000
_OTHER_PARTS: Mapping[str, Any] = {
    "feature_extractor": transformers.AutoFeatureExtractor,
    "image_processor": transformers.AutoImageProcessor,
}


@dataclass(frozen=True)
class Equipped:
    """A model on its device. ``pipe`` is the library's pipeline, of which the single stages are used; None where it
    has none. ``most_tokens`` is what an input may have at most, ``positions`` what the network can tell apart.

    A tokenizer keeps how it cuts off, so threads may only use it, and ``pipe``, under ``preparing``.
    """

    folder: Path
    network: Any
    device: str
    pipe: Any
    tokenizer: Any
    feature_extractor: Any
    most_tokens: int | None
    positions: int | None
    preparing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def config(self) -> Any:
        return self.network.config

    @property
    def pad_token_id(self) -> int | None:
        """What fills up short inputs; a network that is to ignore it is told by the mask."""
        chosen = self.tokenizer.pad_token_id
        number: int | None = self.config.pad_token_id if chosen is None else chosen
        return number


def equip(folder: ModelFolder, purpose: Purpose, device: str) -> Equipped:
    """Raises ``InvalidInput`` for a model made for something else, ``ModelLoadFailed``, ``DeviceOutOfMemory``."""
    network_class = purpose.network_class(read_json(folder.path / "config.json").get("architectures"), folder.name)
    with loading(folder):
        parts = {name: _load_part(name, folder) for name in purpose.parts}
        network, report = network_class.from_pretrained(
            folder.path,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32 if device == "cpu" else "auto",
            output_loading_info=True,
        )
        require_whole(report["missing_keys"], folder)
        settle(network, device)
        tokenizer = parts.get("tokenizer")
        positions = getattr(network.config, "max_position_embeddings", None)
        most = _most_tokens(tokenizer, positions)
        pipe = None
        if purpose.pipeline is not None and not (purpose.name == "generate_text" and network.config.is_encoder_decoder):
            # The stages around the network work on the processor; only the network is on its device.
            pipe = purpose.pipeline(model=network, device=network.device, **parts)
    return Equipped(folder.path, network, device, pipe, tokenizer, parts.get("feature_extractor"), most, positions)


def _load_part(name: str, folder: ModelFolder) -> Any:
    if name == "tokenizer":
        return load_tokenizer(folder)
    return _OTHER_PARTS[name].from_pretrained(folder.path, local_files_only=True)


def weights_bytes(equipped: Equipped) -> int:
    """What its weights take."""
    return sum(
        tensor.numel() * tensor.element_size()
        for tensor in (*equipped.network.parameters(), *equipped.network.buffers())
    )


def _most_tokens(tokenizer: Any, positions: int | None) -> int | None:
    if tokenizer is None:
        return positions
    named = [limit for limit in (tokenizer.model_max_length, positions) if limit is not None and limit < _NO_LIMIT]
    most = min(named, default=None)
    if most is not None:
        tokenizer.model_max_length = most  # the library cuts off there
    return most
