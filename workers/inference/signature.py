"""What a model takes and gives: names, types and shapes, and whether given tensors fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.errors import InvalidInput

# A length, or the name of one that may vary, or None for one that may vary and has no name.
Length = int | str | None


@dataclass(frozen=True)
class Port:
    """One input or output. ``dtype`` is numpy's name of the type, ``string`` for texts, None if it is not known;
    ``shape`` is None if not even the number of dimensions is."""

    name: str
    dtype: str | None = None
    shape: tuple[Length, ...] | None = None
    optional: bool = False

    def __str__(self) -> str:
        shape = (
            "" if self.shape is None else "[" + ", ".join("?" if one is None else str(one) for one in self.shape) + "]"
        )
        return f"{self.name} ({' '.join(part for part in (self.dtype, shape) if part)})" if self.dtype else self.name


@dataclass(frozen=True)
class Signature:
    """All inputs and outputs of a model; no outputs are known of some before they run."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...] = ()

    def input(self, name: str) -> Port:
        """Raises ``InvalidInput`` that names those there are."""
        for port in self.inputs:
            if port.name == name:
                return port
        raise InvalidInput(f"The model has no input {name[:100]!r}; it takes {_listed(self.inputs)}.")

    def require_names(self, given: Sequence[str]) -> None:
        """Raises ``InvalidInput`` unless these are inputs of the model and none is missing."""
        for name in given:
            self.input(name)
        missing = [port for port in self.inputs if not port.optional and port.name not in given]
        if missing:
            raise InvalidInput(f"The model needs {_listed(missing)}, which is not given.")

    def wanted(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """The outputs to compute. Raises ``InvalidInput`` for one that the model does not have."""
        there = [port.name for port in self.outputs]
        if names is None or not there:
            return tuple(names or there)
        for name in names:
            if name not in there:
                raise InvalidInput(f"The model has no output {name[:100]!r}; it gives {_listed(self.outputs)}.")
        return tuple(names)

    def require_shapes(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Raises ``InvalidInput`` unless they fit the model, and lengths of one name are equal."""
        lengths: dict[str, tuple[int, str]] = {}
        for name, shape in shapes.items():
            port = self.input(name)
            if port.shape is None:
                continue
            if len(shape) != len(port.shape):
                raise InvalidInput(
                    f"Input {name!r} has {len(shape)} dimensions ({list(shape)}), where the model wants {port}."
                )
            for axis, (length, wanted) in enumerate(zip(shape, port.shape, strict=True)):
                if isinstance(wanted, int) and length != wanted:
                    raise InvalidInput(
                        f"Input {name!r} has the shape {list(shape)}, but axis {axis} has to be {wanted}: the model "
                        f"wants {port}."
                    )
                if isinstance(wanted, str):
                    earlier, of = lengths.setdefault(wanted, (length, name))
                    if earlier != length:
                        raise InvalidInput(
                            f"Input {name!r} has {length} along {wanted!r}, but input {of!r} has {earlier}; they have "
                            "to be equal."
                        )

    def has_rows(self, outputs: Sequence[str]) -> bool:
        """Whether the first axis of every input and of these outputs may vary, as that of a batch does."""
        ports = [*self.inputs, *(port for port in self.outputs if port.name in outputs)]
        return all(port.shape is None or (port.shape and not isinstance(port.shape[0], int)) for port in ports)

    @property
    def fixed_rows(self) -> int | None:
        """The length that the model fixes for the first axis; None if it leaves it open."""
        return next((port.shape[0] for port in self.inputs if port.shape and isinstance(port.shape[0], int)), None)


def _listed(ports: Sequence[Port]) -> str:
    return ", ".join(str(port)[:200] for port in ports[:20]) + (
        f" and {len(ports) - 20} more" if len(ports) > 20 else ""
    )
