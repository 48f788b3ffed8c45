"""Each algorithm's parameters as Pydantic models, made from H2O's own table of them.

``parameters.json`` holds what ``GET /3/ModelBuilders`` says of what is offered; a contract test holds that it still
does.
"""

import functools
import json
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, create_model

from tasks.h2o.algorithms import AlgorithmName
from tasks.h2o.ranges import MOST_INT, MOST_LONG, Range, range_of
from tasks.tabular import ColumnName

# Lists of these are the values themselves; in a grid, one number stands for a list of one.
_LISTS = ("double[]", "float[]", "int[]", "boolean[]")
_MOST_GRID_VALUES = 1000


class Parameters(BaseModel):
    """What one algorithm is told. Each value is checked as it stands: no text is taken for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@functools.cache
def table() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """What H2O says of each parameter, by algorithm and name: ``type``, ``default``, ``help``, ``grid`` (whether grids
    may vary it) and, of an enum, ``values``."""
    text = resources.files("tasks.h2o").joinpath("parameters.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(text)
    return found


@functools.cache
def parameters_of(algo: AlgorithmName) -> type[Parameters]:
    """The model of the algorithm's ``parameters``."""
    fields = {name: (_type(algo, name, row), _field(row)) for name, row in table()[algo].items()}
    return _model(f"{algo}Parameters", f"Parameters of {algo}, under H2O's names.", fields)


@functools.cache
def grid_of(algo: AlgorithmName) -> type[Parameters]:
    """The model of the algorithm's ``hyper_params``: for each parameter that grids may vary, the values to try."""
    fields = {
        name: (
            Annotated[list[_grid_type(algo, name, row)], Field(min_length=1, max_length=_MOST_GRID_VALUES)],  # type: ignore[misc]
            Field(default=None, description=row["help"]),
        )
        for name, row in table()[algo].items()
        if row["grid"]
    }
    return _model(f"{algo}Grid", f"What a grid of {algo} may vary, with the values to try.", fields)


def _model(name: str, doc: str, fields: dict[str, Any]) -> type[Parameters]:
    return cast(type[Parameters], create_model(name, __base__=Parameters, __doc__=doc, **fields))


def _field(row: Mapping[str, Any]) -> Any:
    return Field(default=row["default"], description=row["help"])


def _grid_type(algo: str, name: str, row: Mapping[str, Any]) -> Any:
    kind = _type(algo, name, row)
    return kind | _number(algo, name, row["type"].removesuffix("[]")) if row["type"] in _LISTS else kind


def _type(algo: str, name: str, row: Mapping[str, Any]) -> Any:
    kind = row["type"]
    found: Any
    if kind == "enum":
        found = Literal[tuple(row["values"])]
    elif kind == "KeyValue[]":
        found = Annotated[dict[ColumnName, Literal[-1, 1]], Field(min_length=1)]
    elif kind == "string[]":
        found = Annotated[list[ColumnName], Field(min_length=1)]
    elif kind == "string[][]":
        found = Annotated[list[Annotated[list[ColumnName], Field(min_length=1)]], Field(min_length=1)]
    elif kind in _LISTS:
        found = Annotated[list[_number(algo, name, kind.removesuffix("[]"))], Field(min_length=1)]  # type: ignore[misc]
    else:
        found = _number(algo, name, kind)
    return found | None if row["default"] is None else found


def _number(algo: str, name: str, kind: str) -> Any:
    """A number of H2O's type, or a truth value."""
    if kind == "boolean":
        return bool
    allowed = range_of(algo, name) or Range()
    if kind in ("int", "long"):
        most = MOST_INT if kind == "int" else MOST_LONG
        lowest = -most if allowed.low is None else int(min([allowed.low, *allowed.unset]))
        bounds: dict[str, Any] = {"ge": lowest, "le": int(min(most, allowed.high or most))}
        plain: Any = Annotated[int, Field(**bounds)]
    else:
        plain = Annotated[float, Field(allow_inf_nan=False, **_bounds(allowed))]
    return Annotated[plain, AfterValidator(_inside(allowed))] if allowed.unset else plain


def _bounds(allowed: Range) -> dict[str, Any]:
    """As JSON schema has them: what means "unset" lies below the others."""
    bounds: dict[str, Any] = {}
    if allowed.low is not None:
        if allowed.unset:
            bounds["ge"] = min(allowed.low, *allowed.unset)
        else:
            bounds["gt" if allowed.open_low else "ge"] = allowed.low
    if allowed.high is not None:
        bounds["lt" if allowed.open_high else "le"] = allowed.high
    return bounds


def _inside(allowed: Range) -> Callable[[float], float]:
    def check(value: float) -> float:
        if not allowed.has(value):
            raise ValueError(f"must be {allowed}")
        return value

    return check


def schema_of(model: type[Parameters]) -> dict[str, Any]:
    """Its JSON schema, without definitions apart."""
    return TypeAdapter(model).json_schema()
