"""Makes models on the spot, by hand: no library has to be there."""

import json
import struct
from pathlib import Path
from typing import Any

Header = dict[str, Any]


def safetensors(header: Header | bytes | None = None, data: bytes = b"\0" * 8) -> bytes:
    """A file with one tensor of two floats, unless told otherwise."""
    if header is None:
        header = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def make_model(directory: Path, **files: bytes | str | dict[str, Any]) -> Path:
    """A tiny model's directory; names have ``__`` for ``.``. An empty value leaves a usual file out."""
    usual: dict[str, bytes | str | dict[str, Any]] = {
        "config__json": {"model_type": "bert"},
        "model__safetensors": safetensors(),
        "tokenizer__json": {"version": "1.0", "model": {"type": "WordLevel", "vocab": {"auto_map": 0, "a": 1}}},
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in {**usual, **files}.items():
        if content != "":
            path = directory / name.replace("__", ".")
            path.write_bytes(content if isinstance(content, bytes) else _text(content).encode())
    return directory


def _text(content: str | dict[str, Any]) -> str:
    return content if isinstance(content, str) else json.dumps(content)
