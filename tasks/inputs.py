"""Finding the inputs that a spec names."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from tasks.contracts import ArtifactInput, FileInput, Input


def inputs_of(value: Any) -> Iterator[Input]:
    """Every input anywhere inside a spec."""
    if isinstance(value, FileInput | ArtifactInput):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from inputs_of(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from inputs_of(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from inputs_of(item)
