"""Finding the inputs that a spec names."""

from collections.abc import Iterator

from pydantic import BaseModel

from tasks.contracts import ArtifactInput, FileInput, Input, JobSpec


def inputs_of(spec: JobSpec) -> Iterator[tuple[str, Input]]:
    """Every input anywhere inside a spec, with its dotted place, which begins with ``spec``."""
    return _walk("spec", spec)


def _walk(place: str, value: object) -> Iterator[tuple[str, Input]]:
    if isinstance(value, FileInput | ArtifactInput):
        yield place, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _walk(f"{place}.{name}", getattr(value, name))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _walk(f"{place}.{name}", item)
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(value):
            yield from _walk(f"{place}.{index}", item)
