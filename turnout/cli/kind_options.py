"""A kind's command-line options, made from the JSON schema of its spec."""

import json
import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from turnout.cli.inputs import input_document
from turnout.client import Client

Schema = Mapping[str, Any]
_INPUTS = {"FileInput", "ArtifactInput", "ModelInput"}
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


@dataclass(frozen=True)
class _Shape:
    """How the text of an option becomes a value; ``metavar`` tells it in the help."""

    metavar: str
    convert: Callable[[str], Any]
    is_list: bool = False
    is_object: bool = False
    is_input: bool = False
    is_flag: bool = False


class KindOptions:
    """The options of one kind. ``taken`` are names that mean something else on the command line."""

    def __init__(self, spec_schema: Schema, taken: Sequence[str]) -> None:
        definitions = spec_schema.get("$defs", {})
        self._required = set(spec_schema.get("required", ()))
        self._fields: dict[str, Schema] = {
            name: field
            for name, field in spec_schema.get("properties", {}).items()
            if name != "kind" and name not in taken
        }
        self._shapes = {name: _shape(field, definitions) for name, field in self._fields.items()}
        self._variants = list(_variants(spec_schema))

    def epilog(self) -> str | None:
        """What objects may hold where that depends on another option; None if nothing does."""
        if not self._variants:
            return None
        lines = ["\b", "Names and defaults; those with * are gridable, and /v1/kinds tells the ranges and meanings:"]
        for title, fields in self._variants:
            named = [f"{name}{'*' if field.get('gridable') else ''}{_default(field)}" for name, field in fields.items()]
            lines += textwrap.wrap(
                f"{title}: {'  '.join(named)}", 100, subsequent_indent="    ", break_long_words=False
            )
        return "\n".join(lines)

    def options(self) -> list[click.Option]:
        return [self._option(name) for name in self._fields]

    def spec(self, client: Client, given: Mapping[str, Any]) -> dict[str, Any]:
        """The spec that the given options say; local files are uploaded. Raises ``click.UsageError``."""
        spec: dict[str, Any] = {}
        for name, shape in self._shapes.items():
            texts = [text for text in given.get(_parameter(name), ()) or () if text is not None]
            if not texts:
                continue
            values = [value for text in texts for value in self._values(client, name, shape, text)]
            if shape.is_object:
                spec[name] = {key: value for part in values for key, value in part.items()}
            else:
                spec[name] = values if shape.is_list else values[-1]
        return spec

    def _values(self, client: Client, name: str, shape: _Shape, text: str) -> list[Any]:
        if shape.is_input:
            return [input_document(client, text)]
        try:
            if not shape.is_list:
                return [shape.convert(text)]
            if text.lstrip().startswith("["):
                return list(json.loads(text))
            return [shape.convert(part.strip()) for part in text.split(",")]
        except (ValueError, RecursionError) as exc:
            raise click.UsageError(f"--{name}: {text!r} is not {shape.metavar}.") from exc

    def _option(self, name: str) -> click.Option:
        field, shape = self._fields[name], self._shapes[name]
        notes = [field.get("description", "")]
        if name in self._required:
            notes.append("[required]")
        elif field.get("default") not in (None, [], {}):
            notes.append(f"[default: {json.dumps(field['default']).strip(chr(34))}]")
        # A flag may stand alone, which click only allows where the option's value is optional.
        flag: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if shape.is_flag else {}
        return click.Option(
            [f"--{name}", _parameter(name)],
            metavar=shape.metavar,
            multiple=True,
            help=" ".join(note for note in notes if note),
            **flag,
        )


def _parameter(name: str) -> str:
    return f"spec_{name}"


def _shape(field: Schema, definitions: Schema) -> _Shape:
    field = _resolved(field, definitions)
    variants = [_resolved(variant, definitions) for variant in field.get("anyOf", ())]
    variants = [variant for variant in variants if variant.get("type") != "null"]
    if (variants and {variant.get("title") for variant in variants} <= _INPUTS) or field.get("title") in _INPUTS:
        return _Shape("PATH|file:ID|job:ID/NAME|model:NAME", str, is_input=True)
    if len(variants) == 1:
        return _shape({**variants[0], "anyOf": variants[0].get("anyOf", ())}, definitions)
    if variants:
        return _Shape("JSON|TEXT", _json_or_text)
    if "enum" in field or "const" in field:
        choices = field.get("enum", [field.get("const")])
        return _Shape("|".join(map(str, choices)), _json_or_text if not _all_text(choices) else str)
    if field.get("type") == "array":
        item = _shape(field.get("items", {}), definitions)
        return _Shape(f"{item.metavar}[,…]", item.convert, is_list=True, is_input=item.is_input)
    if field.get("type") == "object" or "oneOf" in field:
        return _Shape("JSON|NAME=VALUE", _object, is_object=True)
    plain = {
        "string": _Shape("TEXT", str),
        "integer": _Shape("INTEGER", int),
        "number": _Shape("NUMBER", _as_number),
        "boolean": _Shape("[true|false]", _as_boolean, is_flag=True),
    }
    return plain.get(str(field.get("type")), _Shape("JSON", json.loads))


def _variants(schema: Schema) -> Iterator[tuple[str, Mapping[str, Schema]]]:
    """The fields of an object for each value of another option: JSON schema's ``if`` and ``then``."""
    for rule in schema.get("allOf", ()):
        conditions = [
            f"{name} {condition['const']}"
            for name, condition in rule.get("if", {}).get("properties", {}).items()
            if "const" in condition
        ]
        for name, field in rule.get("then", {}).get("properties", {}).items():
            if conditions and "properties" in field:
                yield f"{name} with {', '.join(conditions)}", field["properties"]


def _default(field: Schema) -> str:
    default = field.get("default")
    return "" if default is None else f"={json.dumps(default, separators=(',', ':')).strip(chr(34))}"


def _object(text: str) -> dict[str, Any]:
    """A JSON object, or one of its fields; the option may be repeated for others."""
    if text.lstrip().startswith("{"):
        found: dict[str, Any] = json.loads(text)
        return found
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise ValueError(text)
    return {name.strip(): _json_or_text(value.strip())}


def _resolved(field: Schema, definitions: Schema) -> Schema:
    reference = field.get("$ref")
    if reference is None:
        return field
    target: Schema = definitions[reference.rsplit("/", 1)[-1]]
    return {**target, **{name: value for name, value in field.items() if name != "$ref"}}


def _all_text(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _as_number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _as_boolean(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(text)


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
