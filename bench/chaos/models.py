"""The models of the inference jobs: a real one, and the same without the end of its vocabulary."""

import json
import shutil
from pathlib import Path

from safetensors.numpy import load_file, save_file

from bench.inference_parts.texts import MODEL

WHOLE, CROPPED = "whole", "cropped"
# Its tokenizer knows the word still, so that only the network breaks on it, and with it a batch.
UNKNOWN_WORD = "zebra"
_KEPT_WORDS = 25_000
_WORDS = "embeddings.word_embeddings.weight"


def lay_out(directory: Path) -> None:
    """Put both there, under their names."""
    shutil.copytree(MODEL, directory / WHOLE)
    cropped = directory / CROPPED
    shutil.copytree(MODEL, cropped)
    config = json.loads((cropped / "config.json").read_text())
    (cropped / "config.json").write_text(json.dumps({**config, "vocab_size": _KEPT_WORDS}))
    weights = load_file(cropped / "model.safetensors")
    save_file(
        {**weights, _WORDS: weights[_WORDS][:_KEPT_WORDS].copy()},
        cropped / "model.safetensors",
        metadata={"format": "pt"},
    )
