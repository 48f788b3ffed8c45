"""One ONNX model in ONNX Runtime."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as states

from tasks.errors import InvalidInput, ModelLoadFailed
from workers.inference.errors import DeviceLost, DeviceOutOfMemory
from workers.inference.programs import Tensors
from workers.inference.signature import Port, Signature
from workers.inference.tensors import Array

_TYPES = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "bool": "bool",
    "string": "string",
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_NO_ROOM = re.compile(r"out of memory|failed to allocate|bad_alloc|cannot allocate", re.IGNORECASE)
_LOST = re.compile(r"CUDA failure 7\d\d|illegal memory access|device-side assert", re.IGNORECASE)
_ERRORS = (
    states.Fail,
    states.InvalidArgument,
    states.RuntimeException,
    states.EPFail,
    states.InvalidGraph,
    states.InvalidProtobuf,
    states.NoSuchFile,
    states.NotImplemented,
    states.NoModel,
)
_WARNINGS_AND_WORSE_ARE_TOO_MUCH = 3
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def load_libraries(device: str) -> None:
    """CUDA's come in packages of Python's, where the system's loader does not look by itself."""
    if device == "cuda":
        ort.preload_dlls()


class OnnxProgram:
    """A session. Its outputs that are no tensors, such as the maps of some converted models, are left out."""

    keeps_state = False

    def __init__(self, path: Path, device: str, threads: int) -> None:
        """Raises ``ModelLoadFailed`` and ``DeviceOutOfMemory``."""
        with _loading(path.name):
            self._session = ort.InferenceSession(str(path), _options(threads), providers=_providers(device))
        _require_on_device(self.providers, device)
        self._signature = Signature(
            inputs=tuple(_input(one) for one in self._session.get_inputs()),
            outputs=tuple(port for one in self._session.get_outputs() if (port := _port(one)) is not None),
        )

    @property
    def signature(self) -> Signature:
        return self._signature

    @property
    def providers(self) -> Sequence[str]:
        """Where it computes, the first choice first."""
        return list(self._session.get_providers())

    def run(self, inputs: Tensors, outputs: Sequence[str]) -> dict[str, Array]:
        with _computing():
            computed = self._session.run(list(outputs), dict(inputs))
        return {name: np.asarray(one) for name, one in zip(outputs, computed, strict=True)}


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _WARNINGS_AND_WORSE_ARE_TOO_MUCH
    # Threads that wait spinning take the cores from the other runners'.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _providers(device: str) -> list[str]:
    there = ort.get_available_providers()
    if device == "cuda" and _CUDA not in there:
        raise ModelLoadFailed(
            "This GPU worker has ONNX Runtime without CUDA; its operator has to install onnxruntime-gpu."
        )
    return [_CUDA, _CPU] if device == "cuda" else [_CPU]


def _require_on_device(providers: Sequence[str], device: str) -> None:
    """Without a library of CUDA's that it needs, ONNX Runtime would compute on the processor and only log it."""
    if device == "cuda" and _CUDA not in providers:
        raise ModelLoadFailed(
            "This GPU worker's ONNX Runtime can't use its GPU, as libraries of CUDA or cuDNN are missing or of another "
            "version; its operator has to install an onnxruntime-gpu that is built for the CUDA of its torch."
        )


def _input(argument: ort.NodeArg) -> Port:
    port = _port(argument)
    if port is None:
        raise ModelLoadFailed(
            f"The model's input {argument.name} is of the type {argument.type}; only tensors are taken."
        )
    return port


def _port(argument: ort.NodeArg) -> Port | None:
    found = re.fullmatch(r"tensor\((\w+)\)", argument.type)
    dtype = _TYPES.get(found[1]) if found else None
    if dtype is None:
        return None
    # A scalar has an empty shape; one that is not known is told in the same way.
    return Port(argument.name, dtype, tuple(argument.shape) or None)


@contextmanager
def _loading(name: str) -> Iterator[None]:
    try:
        yield
    except (*_ERRORS, RuntimeError, ValueError) as exc:
        if _NO_ROOM.search(str(exc)):
            raise DeviceOutOfMemory(_first_line(exc)) from exc
        raise ModelLoadFailed(f"{name} can't be loaded by ONNX Runtime: {_first_line(exc)}") from exc


@contextmanager
def _computing() -> Iterator[None]:
    try:
        yield
    except (*_ERRORS, RuntimeError, ValueError) as exc:
        said = str(exc)
        if _NO_ROOM.search(said):
            raise DeviceOutOfMemory(_first_line(exc)) from exc
        if _LOST.search(said):
            raise DeviceLost(_first_line(exc)) from exc
        raise InvalidInput(f"The model can't compute these inputs: {_first_line(exc)}") from exc


def _first_line(error: BaseException) -> str:
    """Without the places of its source code and of the file."""
    line = str(error).strip().partition("\n")[0]
    return re.sub(r"(/[\w.+-]+)+/|\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line)[:300]
