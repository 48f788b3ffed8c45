"""TorchScript programs (``torch.jit.save``)."""

import copy
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from tasks.errors import InvalidInput, ModelLoadFailed
from workers.inference.programs import Program, Tensors
from workers.inference.signature import Port, Signature
from workers.inference.tensors import Array
from workers.runtimes.pytorch.device import computing, loading, outputs_of, to_device

# Arguments that are no tensors are taken as tensors with one value, of these types.
_NUMBERS = {"int": "int64", "float": "float64", "bool": "bool", "number": "float64"}
_TENSORS = {"Tensor", "Optional[Tensor]"}
_SETS_ATTRIBUTE, _GETS_ATTRIBUTE = "prim::SetAttr", "prim::GetAttr"
# What returns a part of its first argument, or that argument.
_VIEW = re.compile(r"\(Tensor\(\w+!?\) self.*-> Tensor\(")


class ScriptedProgram:
    """It knows the names of its arguments, but neither their shapes nor its outputs before they are there."""

    def __init__(self, module: Any, device: str) -> None:
        self._module = module
        self._device = device
        arguments = module.forward.schema.arguments[1:]
        self._numbers = {one.name for one in arguments if str(one.type) in _NUMBERS}
        self._signature = Signature(tuple(_port(one) for one in arguments))
        self._keeps_state = _keeps_state(module)

    @property
    def signature(self) -> Signature:
        return self._signature

    @property
    def keeps_state(self) -> bool:
        return self._keeps_state

    def run(self, inputs: Tensors, outputs: Sequence[str]) -> dict[str, Array]:
        # Each job gets the state that the program was saved with.
        module = copy.deepcopy(self._module) if self._keeps_state else self._module
        arguments = {name: self._argument(name, array) for name, array in inputs.items()}
        with computing():
            return outputs_of(module(**arguments), outputs)

    def _argument(self, name: str, array: Array) -> object:
        if name not in self._numbers:
            return to_device(array, self._device)
        if array.size != 1:
            raise InvalidInput(f"Input {name!r} has {array.size} values, where the model wants one number.")
        return array.item()


def load_scripted(path: Path, device: str) -> Program:
    """Raises ``ModelLoadFailed`` and ``DeviceOutOfMemory``."""
    with loading(path.name), warnings.catch_warnings():
        # The format is deprecated in favour of torch.export; people have many such files.
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
        module.eval()
        return ScriptedProgram(module, device)


def _port(argument: Any) -> Port:
    sort = str(argument.type)
    if sort in _NUMBERS:
        return Port(argument.name, _NUMBERS[sort], (), optional=argument.has_default_value())
    if sort not in _TENSORS:
        raise ModelLoadFailed(f"The model's argument {argument.name} is of the type {sort}; only tensors are taken.")
    return Port(argument.name, optional=argument.has_default_value() or sort != "Tensor")


def _keeps_state(module: Any) -> bool:
    """Whether running it changes it: an attribute is set, or a tensor of its own is written to."""
    try:
        # Without what only happens in training, such as the counting of batches.
        graph = torch.jit.freeze(module).graph
    except RuntimeError:
        graph = module.inlined_graph
    return any(node.kind() == _SETS_ATTRIBUTE or _writes_to_own(node) for node in _all_nodes(graph))


def _writes_to_own(node: Any) -> bool:
    """By convention, what ends in ``_`` writes to its first argument."""
    name = node.kind().rpartition("::")[2]
    if not name.endswith("_") or name.endswith("__"):
        return False
    written = next(iter(node.inputs())).node()
    while written.kind() != _GETS_ATTRIBUTE and _VIEW.search(written.schema()):
        written = next(iter(written.inputs())).node()
    return bool(written.kind() == _GETS_ATTRIBUTE)


def _all_nodes(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        for part in node.blocks():
            yield from _all_nodes(part)
