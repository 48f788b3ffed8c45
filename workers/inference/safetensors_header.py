"""Checks a safetensors file's header before any library reads it.

The format: 8 bytes with the header's length (little endian), the header as JSON, then the tensors one after the other
without gaps (https://github.com/huggingface/safetensors#format).
"""

import json
import math
import struct
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

MOST_HEADER_BYTES = 100_000_000
_BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E5M2FNUZ", "F8_E4M3FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


def check_safetensors(path: Path) -> None:
    """Raises ``ValueError`` that says what is wrong: every tensor must lie inside the file, have the size that its
    shape and type make, and begin where the one before it ends."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        if len(first) < 8:
            raise ValueError("it is too short for a safetensors file")
        (length,) = struct.unpack("<Q", first)
        if length > min(MOST_HEADER_BYTES, size - 8):
            raise ValueError(f"its header claims {length} bytes, more than the file has or may have")
        header = _parsed(file.read(length))
    spans = sorted(_span(name, entry, size - 8 - length) for name, entry in header.items() if name != "__metadata__")
    _require_no_gaps(spans, size - 8 - length)


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as exc:
        raise ValueError("its header is no JSON, or names a tensor twice") from exc
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return header


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name stands twice")
    return document


def _span(name: str, entry: Any, data_bytes: int) -> tuple[int, int, str]:
    """Where the tensor begins and ends, counted from the end of the header."""
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(begin), int(end)]} if len(entry) == 3:
            pass
        case _:
            raise ValueError(f"tensor {name[:100]!r} lacks a type, a shape or its place")
    if dtype not in _BITS:
        raise ValueError(f"tensor {name[:100]!r} has the unknown type {dtype[:20]!r}")
    if any(not isinstance(length, int) or isinstance(length, bool) or length < 0 for length in shape):
        raise ValueError(f"tensor {name[:100]!r} has a shape that is none")
    if not 0 <= begin <= end <= data_bytes:
        raise ValueError(f"tensor {name[:100]!r} lies outside of the file")
    if (end - begin) * 8 != math.prod(shape) * _BITS[dtype]:
        raise ValueError(f"tensor {name[:100]!r} takes {end - begin} bytes, which its shape and type don't make")
    return begin, end, name


def _require_no_gaps(spans: Sequence[tuple[int, int, str]], data_bytes: int) -> None:
    for (_begin, end, name), (begin, _end, following) in pairwise([(0, 0, ""), *spans, (data_bytes, 0, "")]):
        if begin < end:
            raise ValueError(f"tensors {name[:100]!r} and {following[:100]!r} overlap")
        if begin > end:
            raise ValueError(f"{begin - end} bytes after tensor {name[:100]!r} belong to none")
