"""What the JSON schema of a model's spec says of the parameters of each algorithm."""

import functools
import json
from typing import Any

from tasks.h2o.algorithms import ALGORITHMS
from tasks.h2o.parameters import parameters_of, schema_of, table


def add_parameters(schema: dict[str, Any]) -> None:
    """Say by ``if`` and ``then`` which parameters go with which ``algo``; ``gridable`` marks those that hyper_params
    may vary."""
    # As text, since whoever gets the schema may change it, and making it anew takes a tenth of a second.
    schema["allOf"] = json.loads(_rules())


@functools.cache
def _rules() -> str:
    rules = []
    for algo in ALGORITHMS:
        parameters = schema_of(parameters_of(algo))
        for name, field in parameters["properties"].items():
            field.pop("title", None)
            field["gridable"] = table()[algo][name]["grid"]
        rules.append(
            {
                "if": {"properties": {"algo": {"const": algo}}, "required": ["algo"]},
                "then": {"properties": {"parameters": parameters}},
            }
        )
    return json.dumps(rules)
