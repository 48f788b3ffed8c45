"""Programs of ``torch.export`` (``torch.export.save``)."""

import copy
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.export.passes import move_to_device_pass

from tasks.errors import ModelLoadFailed
from workers.inference.programs import Program, Tensors
from workers.inference.signature import Length, Port, Signature
from workers.inference.tensors import Array
from workers.runtimes.pytorch.device import computing, loading, outputs_of, to_device


class ExportedProgram:
    """It knows names, types and shapes of its inputs, and that its outputs are tensors."""

    def __init__(self, program: torch.export.ExportedProgram, device: str) -> None:
        self._device = device
        self._module = program.module()
        self._signature = Signature(tuple(_ports(program)))
        self._keeps_state = _keeps_state(program)

    @property
    def signature(self) -> Signature:
        return self._signature

    @property
    def keeps_state(self) -> bool:
        return self._keeps_state

    def run(self, inputs: Tensors, outputs: Sequence[str]) -> dict[str, Array]:
        # Each job gets the state that the program was saved with.
        module = copy.deepcopy(self._module) if self._keeps_state else self._module
        tensors = [to_device(inputs[port.name], self._device) for port in self._signature.inputs]
        with computing():
            return outputs_of(module(*tensors), outputs)


def is_exported(path: Path) -> bool:
    """By its content: its name may be any."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("archive_format") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError) as exc:
        raise ModelLoadFailed(
            f"{path.name} is no PyTorch program: save one by torch.jit.save or torch.export.save."
        ) from exc


def load_exported(path: Path, device: str) -> Program:
    """Raises ``ModelLoadFailed`` and ``DeviceOutOfMemory``."""
    with loading(path.name):
        program = torch.export.load(path)
        return ExportedProgram(program if device == "cpu" else move_to_device_pass(program, device), device)


def _ports(program: torch.export.ExportedProgram) -> list[Port]:
    wanted = set(program.graph_signature.user_inputs)
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in wanted]
    return [_port(node.name, node.meta["val"]) for node in nodes]


def _port(name: str, value: Any) -> Port:
    if not isinstance(value, torch.Tensor):
        raise ModelLoadFailed(f"The model's input {name} is a {type(value).__name__}; only tensors are taken.")
    dtype = str(value.dtype).removeprefix("torch.")
    return Port(name, dtype, tuple(_length(one) for one in value.shape))


def _length(length: Any) -> Length:
    return length if isinstance(length, int) else str(length)


def _keeps_state(program: torch.export.ExportedProgram) -> bool:
    """Whether running it changes one of its own tensors, at its end or in between."""
    signature = program.graph_signature
    own = {*signature.inputs_to_buffers, *signature.inputs_to_parameters, *signature.inputs_to_lifted_tensor_constants}
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    return bool(signature.buffers_to_mutate) or any(
        _schema(node).is_mutable and _origin(node.args[0]).name in own for node in calls if _schema(node) is not None
    )


def _origin(node: Any) -> Any:
    """Of a view, what it is a part of."""
    while node.op == "call_function" and (schema := _schema(node)) is not None and _returns_alias(schema):
        node = node.args[0]
    return node


def _schema(node: Any) -> Any:
    """None for what is no operator of torch."""
    return getattr(node.target, "_schema", None)


def _returns_alias(schema: Any) -> bool:
    return any(returned.alias_info is not None for returned in schema.returns)
