"""Walks through an ONNX model's protobuf for what would make a library read other files, without that library.

Tensors may name files beside the model ("external data") by a path, which has led out of the directory again and again
(CVE-2022-25882, CVE-2024-27318, CVE-2026-27489, CVE-2026-34446). So a model that has any is refused.
Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

MOST_BYTES = (2 << 30) - 1
_MOST_DEPTH = 100
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5

# Which fields of each message hold messages that may lead to a tensor.
_MESSAGES: Mapping[str, Mapping[int, str]] = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Function": {7: "Node", 11: "Attribute"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
_MODEL_GRAPH = 7
_TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 8, 13, 14
_NODE_OPERATOR = 4
_FIRST_IMPOSSIBLE_FIELD = 1 << 29
_DAMAGED = "it is no ONNX model, or is damaged"
_READS_FILES = {b"EPContext"}


def check_onnx(path: Path) -> None:
    """Raises ``ValueError`` that says what is wrong."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError("it is larger than 2 GiB, more than a model in one file can be")
    if not size:
        raise ValueError("it is empty")
    with path.open("rb") as file:
        # Not closed by hand: an error's traceback still holds views of it.
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    _check(content, "Model", 0)
    if not any(number == _MODEL_GRAPH for number, _value in _fields(content)):
        raise ValueError("it is no ONNX model: it has no graph")


def _check(message: memoryview, sort: str, depth: int) -> None:
    if depth > _MOST_DEPTH:
        raise ValueError("it is nested too deeply")
    inner = _MESSAGES[sort]
    for number, value in _fields(message):
        if sort == "Tensor" and (number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value)):
            raise ValueError(
                f"its tensor {_tensor_name(message)!r} lies in another file (external data); save the model with all "
                "tensors inside"
            )
        if sort == "Node" and number == _NODE_OPERATOR and _as_bytes(value) in _READS_FILES:
            raise ValueError(f"its operator {_as_bytes(value).decode()} reads other files")
        if number in inner and isinstance(value, memoryview):
            _check(value, inner[number], depth + 1)


def _tensor_name(tensor: memoryview) -> str:
    names = [_as_bytes(value) for number, value in _fields(tensor) if number == _TENSOR_NAME]
    return names[-1][:100].decode(errors="replace") if names else ""


def _as_bytes(value: "memoryview | int") -> bytes:
    return bytes(value[:200]) if isinstance(value, memoryview) else b""


def _fields(message: memoryview) -> Iterator[tuple[int, "memoryview | int"]]:
    """Each field's number and value; raises ``ValueError`` where the bytes are no message."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, wire = key >> 3, key & 7
        # Longer ones are cut off by some readers, which would see another field.
        if not 0 < number < _FIRST_IMPOSSIBLE_FIELD:
            raise ValueError(_DAMAGED)
        if wire == _VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        if wire == _LENGTH:
            length, place = _varint(message, place)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(_DAMAGED)
        if place + length > len(message):
            raise ValueError(_DAMAGED)
        yield number, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message) and shift < 64:
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
    raise ValueError(_DAMAGED)
