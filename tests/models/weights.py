"""Weights that depend on nothing but their names: no library's order of initialising them, and no version of it."""

import hashlib
import re
import zlib
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import PreTrainedModel

_FILE = "model.safetensors"


def keep_with_seeded_weights(
    model: PreTrainedModel, directory: Path, quiet_from: tuple[str, int] | None = None
) -> None:
    """Save the model, with the values that belong to each tensor's name in the file, and to its shape.

    By the names in the file, because those stay when a version renames what holds them. ``quiet_from`` names a tensor
    whose rows from that number on get smaller values.
    """
    model.save_pretrained(directory)
    with safe_open(directory / _FILE, framework="pt") as saved:
        tensors = {name: _seeded(name, saved.get_tensor(name).shape) for name in saved.keys()}  # noqa: SIM118
    if quiet_from is not None:
        tensors[quiet_from[0]][quiet_from[1] :] *= 0.4
    save_file(tensors, directory / _FILE, metadata={"format": "pt"})


def digest(directory: Path) -> str:
    """The same for two models in whose files tensors of the same names have the same bits."""
    seen = hashlib.sha256()
    with safe_open(directory / _FILE, framework="pt") as saved:
        for name in sorted(saved.keys()):
            seen.update(name.encode())
            seen.update(saved.get_tensor(name).numpy().tobytes())
    return seen.hexdigest()[:16]


def _seeded(name: str, shape: torch.Size) -> torch.Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
    if len(shape) == 1 and name.endswith("weight"):
        return 1 + values * 0.1  # norms keep the size of what flows through them
    return values * _spread(name)


def _spread(name: str) -> float:
    """Inputs and outputs are drawn wide, what is added to everything is not: so that answers differ."""
    if name.endswith("bias"):
        return 0.05
    return 1.0 if re.search(r"embed|shared|wte|wpe|classifier|qa_outputs|lm_head|proj_out", name) else 0.5
