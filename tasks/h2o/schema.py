"""What the JSON schema of a model's spec says of the parameters of each algorithm."""

from typing import Any

from tasks.h2o.algorithms import ALGORITHMS
from tasks.h2o.parameters import parameters_of, schema_of, table


def add_parameters(schema: dict[str, Any]) -> None:
    """Say by ``if`` and ``then`` which parameters go with which ``algo``; ``gridable`` marks those that hyper_params
    may vary."""
    schema["allOf"] = [
        {
            "if": {"properties": {"algo": {"const": algo}}, "required": ["algo"]},
            "then": {"properties": {"parameters": _parameters(algo)}},
        }
        for algo in ALGORITHMS
    ]


def _parameters(algo: Any) -> dict[str, Any]:
    schema = schema_of(parameters_of(algo))
    for name, field in schema["properties"].items():
        field.pop("title", None)
        field["gridable"] = table()[algo][name]["grid"]
    return schema
