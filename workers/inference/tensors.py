"""Tensors as they come in specs and files, checked and in the type that a model takes."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue

from tasks.contracts import JobContext
from tasks.errors import InvalidInput
from tasks.tensors import TensorInput, TensorValues
from workers.inference.signature import Port, Signature

Array = np.ndarray[Any, np.dtype[Any]]

# Its types leave out what is asked of it.
npy: Any = np.lib.format

MOST_BYTES = 4 << 30
_KNOWN_KINDS = "biufU"
_LONGEST_NPY_HEADER = 10_000


def read_inputs(
    given: Mapping[str, TensorInput], signature: Signature, job: JobContext, *, allow_nan: bool
) -> dict[str, Array]:
    """Every input in the model's type. Raises ``InvalidInput`` that names the one that doesn't fit, and why."""
    signature.require_names(list(given))
    arrays: dict[str, Array] = {}
    for name, tensor in given.items():
        port = signature.input(name)
        if isinstance(tensor, TensorValues):
            array = _written(name, tensor.data, tensor.dtype or port.dtype)
        else:
            array = _from_file(name, job.input_path(tensor))
        arrays[name] = fitting(name, array, port, allow_nan=allow_nan)
    signature.require_shapes({name: array.shape for name, array in arrays.items()})
    return arrays


def fitting(name: str, array: Array, port: Port, *, allow_nan: bool, first_row: int = 0) -> Array:
    """The array in the model's type, if no value changes its meaning by that. Raises ``InvalidInput``."""
    if array.dtype.kind == "f" and not allow_nan:
        _require_finite(name, array, first_row)
    if port.dtype is None or array.dtype.name == port.dtype or (array.dtype.kind in "UO" and port.dtype == "string"):
        return array
    if port.dtype == "string" or array.dtype.kind in "UO":
        raise InvalidInput(f"Input {name!r} has {_type_name(array)} values, where the model wants {port}.")
    return _cast(name, array, port)


def _cast(name: str, array: Array, port: Port) -> Array:
    wanted = np.dtype(port.dtype)
    if (array.dtype.kind == "b") != (wanted.kind == "b") or (array.dtype.kind == "f" and wanted.kind in "iu"):
        raise InvalidInput(f"Input {name!r} has {_type_name(array)} values, where the model wants {port}.")
    if wanted.kind in "iu" and array.size:
        limits = np.iinfo(wanted)
        least, most = int(array.min()), int(array.max())
        if least < limits.min or most > limits.max:
            raise InvalidInput(f"Input {name!r} has values from {least} to {most}, which {port} can't hold.")
    with np.errstate(over="ignore"):
        cast = array.astype(wanted)
    if wanted.kind == "f" and (np.isinf(cast) & np.isfinite(array)).any():
        raise InvalidInput(f"Input {name!r} has values that are too large for {port}.")
    return cast


def _require_finite(name: str, array: Array, first_row: int) -> None:
    wrong = ~np.isfinite(array)
    if wrong.any():
        place = [int(index) for index in np.argwhere(wrong)[0]]
        value = array[tuple(place)]
        if place:
            place[0] += first_row
        raise InvalidInput(
            f"Input {name!r} has {value} at {place}; clean the data, or set allow_nan if the model can take it."
        )


def _written(name: str, data: JsonValue, dtype: str | None) -> Array:
    """From nested lists, which are known to be regular."""
    try:
        array = np.array(data)
    except (OverflowError, ValueError) as exc:
        raise InvalidInput(f"Input {name!r} has numbers that no type can hold, or texts among numbers.") from exc
    texts = array.dtype.kind == "U" and all(isinstance(item, str) for item in np.array(data, dtype=object).flat)
    if array.dtype.kind not in "biuf" and not texts:
        raise InvalidInput(f"Input {name!r} has numbers that no type can hold, or texts among numbers.")
    if not array.size:
        array = array.astype(np.dtype("U1" if dtype == "string" else dtype or "float32"))
    if dtype is None or dtype == "string":
        # Without a word, a model's own fractions are of 32 bits.
        return array.astype(np.float32) if array.dtype == np.float64 and dtype is None else _as_objects(array)
    if array.dtype.kind == "U":
        raise InvalidInput(f"Input {name!r} has texts, where {dtype} is wanted.")
    if array.dtype.kind == "f" and np.dtype(dtype).kind in "iu" and (array == np.trunc(array)).all():
        array = array.astype(np.int64)
    return _cast(name, array, Port(name, dtype))


def _as_objects(array: Array) -> Array:
    """ONNX Runtime takes texts as objects."""
    return array.astype(object) if array.dtype.kind == "U" else array


def _from_file(name: str, path: Path) -> Array:
    """An NPY file, of which the header is read before anything is taken from it (``numpy.lib.format``)."""
    try:
        with path.open("rb") as file:
            version = npy.read_magic(file)
            readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
            if version not in readers:
                raise InvalidInput(f"The file of input {name!r} is NPY of a version that is not known; save it anew.")
            shape, _fortran, dtype = readers[version](file, max_header_size=_LONGEST_NPY_HEADER)
            _require_plain(name, dtype)
            size = int(np.prod(shape, dtype=object)) * dtype.itemsize
            if size > MOST_BYTES:
                raise InvalidInput(f"Input {name!r} takes {size >> 20} MB; at most {MOST_BYTES >> 20} MB are read.")
            if os.fstat(file.fileno()).st_size - file.tell() < size:
                raise InvalidInput(f"The file of input {name!r} ends too early; upload it again.")
        array = np.load(path, mmap_mode="r", allow_pickle=False) if size else np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, TypeError, SyntaxError, MemoryError) as exc:
        raise InvalidInput(f"The file of input {name!r} is no readable NPY file; numpy.save writes one.") from exc
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return _as_objects(np.ascontiguousarray(native) if native.ndim else native)


def _require_plain(name: str, dtype: "np.dtype[Any]") -> None:
    if dtype.hasobject:
        raise InvalidInput(
            f"The file of input {name!r} holds Python objects, which are never read; save plain numbers."
        )
    if dtype.kind not in _KNOWN_KINDS or dtype.names is not None or (dtype.itemsize > 8 and dtype.kind == "f"):
        raise InvalidInput(f"The file of input {name!r} has the type {dtype}, which no model takes.")


def _type_name(array: Array) -> str:
    return "text" if array.dtype.kind in "UO" else array.dtype.name
