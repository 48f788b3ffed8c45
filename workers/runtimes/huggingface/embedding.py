"""Vectors of texts: the encoder's vectors of their tokens, made into one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tasks.embedding import TextEmbedding
from tasks.errors import InvalidInput, ModelLoadFailed
from workers.inference.batcher import Item
from workers.runtimes.huggingface.loading import Loaded, computing

_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


@dataclass(frozen=True)
class Manner:
    """How a text's vector is made."""

    pooling: str
    normalize: bool


@dataclass(frozen=True)
class Tokenized:
    """Texts as their tokens' ids; ``truncated`` are those that were cut off."""

    items: Sequence[Item]
    truncated: Sequence[int]


def manner_of(spec: TextEmbedding, loaded: Loaded) -> Manner:
    """As the spec asks, else as sentence-transformers' files beside the model say."""
    pooling: str = spec.pooling
    if pooling == "auto":
        named = [
            _POOLINGS.get(mode)
            for mode, on in loaded.pooling.items()
            if on is True and mode.startswith("pooling_mode_")
        ]
        if len(named) > 1 or None in named:
            raise ModelLoadFailed("The model pools in a way that is not known here; choose mean or cls as pooling.")
        pooling = next((name for name in named if name is not None), "mean")
    normalize = spec.normalize
    if normalize is None:
        normalize = any(str(module.get("type", "")).endswith("Normalize") for module in loaded.modules)
    return Manner(pooling, normalize)


def tokenize(spec: TextEmbedding, loaded: Loaded) -> Tokenized:
    """Raises ``InvalidInput`` for a text that is too long and may not be cut off."""
    rows = _ids(spec.texts, loaded)
    most = loaded.most_tokens
    truncated = [index for index, ids in enumerate(rows) if most is not None and len(ids) > most]
    if truncated and not spec.truncation:
        first = truncated[0]
        raise InvalidInput(
            f"Text {first} has {len(rows[first])} tokens, and the model takes {most}; shorten it or allow truncation."
        )
    if truncated:
        rows = _ids(spec.texts, loaded, truncation=True, max_length=most)
    return Tokenized([Item(ids, len(ids)) for ids in rows], truncated)


def _ids(
    texts: Sequence[str], loaded: Loaded, *, truncation: bool = False, max_length: int | None = None
) -> Sequence[list[int]]:
    with loaded.tokenizing:
        encoded = loaded.tokenizer(
            texts,
            truncation=truncation,
            max_length=max_length,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
    ids: Sequence[list[int]] = encoded["input_ids"]
    return ids


def encoder(loaded: Loaded, manner: Manner) -> Callable[[Sequence[list[int]]], Sequence[np.ndarray[Any, Any]]]:
    """What computes a batch of tokenized texts."""

    def encode(rows: Sequence[list[int]]) -> Sequence[np.ndarray[Any, Any]]:
        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), loaded.tokenizer.pad_token_id or 0)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = 1
        ids, mask = ids.to(loaded.device), mask.to(loaded.device)
        hidden = loaded.network(input_ids=ids, attention_mask=mask).last_hidden_state
        vectors = hidden[:, 0] if manner.pooling == "cls" else _mean(hidden, mask)
        if manner.normalize:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        return list(vectors.float().cpu().numpy())

    return computing(encode)


def _mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)
