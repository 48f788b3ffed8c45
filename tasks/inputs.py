"""Finding the inputs that a spec names, and putting others in their place."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from pydantic import BaseModel

from tasks.contracts import ArtifactInput, FileInput, Frozen, Input, JobSpec, ModelInput

_Spec = TypeVar("_Spec", bound=JobSpec)


def inputs_of(spec: JobSpec) -> Iterator[tuple[str, Input]]:
    """Every input anywhere inside a spec, with its dotted place, which begins with ``spec``."""
    return _walk("spec", spec)


def with_inputs(spec: _Spec, replace: Callable[[Input], Frozen]) -> _Spec:
    """The same spec with what ``replace`` answers in the place of each input."""
    changed = _replaced(spec, replace)
    assert isinstance(changed, type(spec))  # noqa: S101 - a copy of a spec is of its class
    return changed


def _walk(place: str, value: object) -> Iterator[tuple[str, Input]]:
    if isinstance(value, FileInput | ArtifactInput | ModelInput):
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


def _replaced(value: object, replace: Callable[[Input], Frozen]) -> object:
    if isinstance(value, FileInput | ArtifactInput | ModelInput):
        return replace(value)
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        changed = {name: _replaced(field, replace) for name, field in fields.items()}
        # Only what differs: a field that was not given is to stay one.
        update = {name: new for name, new in changed.items() if new is not fields[name]}
        return value.model_copy(update=update) if update else value
    if isinstance(value, dict):
        items = {name: _replaced(item, replace) for name, item in value.items()}
        return items if any(items[name] is not value[name] for name in value) else value
    if isinstance(value, list | tuple | set | frozenset):
        members = [_replaced(item, replace) for item in value]
        return type(value)(members) if any(new is not old for new, old in zip(members, value, strict=True)) else value
    return value
