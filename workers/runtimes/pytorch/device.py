"""Tensors on their way to torch's device and back, and torch's errors in our words."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from tasks.errors import InvalidInput, ModelLoadFailed
from workers.inference.errors import DeviceLost, DeviceOutOfMemory
from workers.inference.tensors import Array

_TYPES = {torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2}


def to_device(array: Array, device: str) -> torch.Tensor:
    """A copy, since programs may change what they get. Raises ``InvalidInput`` for texts."""
    if array.dtype.kind in "UO":
        raise InvalidInput("PyTorch programs take no texts.")
    return torch.from_numpy(np.array(array)).to(device)


def outputs_of(answer: object, wanted: Sequence[str]) -> dict[str, Array]:
    """The tensors of what a program gave: ``output``, ``output_0`` and so on, or the names that it gave itself."""
    found = _named(answer)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InvalidInput(f"The model has no output {missing[0][:100]!r}; it gives {', '.join(found)}.")
    return {name: _to_numpy(tensor) for name, tensor in found.items() if not wanted or name in wanted}


def _named(answer: object) -> dict[str, torch.Tensor]:
    if isinstance(answer, torch.Tensor):
        return {"output": answer}
    pairs: Any = answer.items() if isinstance(answer, Mapping) else ()
    if isinstance(answer, list | tuple):
        pairs = ((f"output_{index}", one) for index, one in enumerate(answer))
    found = {str(name): one for name, one in pairs if isinstance(one, torch.Tensor)}
    if not found:
        raise InvalidInput(f"The model gave {type(answer).__name__}, where a tensor or several are wanted.")
    return found


def _to_numpy(tensor: torch.Tensor) -> Array:
    held = tensor.detach().cpu()
    array: Array = (held.float() if held.dtype in _TYPES else held).numpy()
    return array


@contextmanager
def computing() -> Iterator[None]:
    """Say in the batcher's words what a device says that fails; anything else is the input's fault."""
    try:
        with torch.inference_mode():
            yield
    except torch.OutOfMemoryError as exc:
        raise DeviceOutOfMemory(first_line(exc)) from exc
    except torch.AcceleratorError as exc:
        raise DeviceLost(first_line(exc)) from exc
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as exc:
        if "can't allocate memory" in str(exc):
            raise DeviceOutOfMemory(first_line(exc)) from exc
        raise InvalidInput(f"The model can't compute these inputs: {last_line(exc)}") from exc


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Raises ``ModelLoadFailed`` and ``DeviceOutOfMemory`` for what goes wrong inside."""
    try:
        yield
    except torch.OutOfMemoryError as exc:
        raise DeviceOutOfMemory(first_line(exc)) from exc
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, OSError, EOFError, ImportError) as exc:
        raise ModelLoadFailed(f"{name} can't be loaded by PyTorch: {first_line(exc)}") from exc


def first_line(error: BaseException) -> str:
    return _without_places(str(error).strip().partition("\n")[0])


def last_line(error: BaseException) -> str:
    """TorchScript tells first where in its code it was, and what went wrong at the end."""
    return _without_places(str(error).strip().rpartition("\n")[2])


def _without_places(line: str) -> str:
    return re.sub(r"(/[\w.+-]+)+/", "", line)[:300]
