"""What the help says where an object's fields depend on another option."""

from turnout.cli.kind_options import KindOptions

SCHEMA = {
    "properties": {"algo": {"enum": ["A", "B"]}, "parameters": {"type": "object"}},
    "allOf": [
        {
            "if": {"properties": {"algo": {"const": "A"}}},
            "then": {
                "properties": {
                    "parameters": {
                        "properties": {
                            "depth": {"default": 5, "gridable": True},
                            "style": {"default": "plain", "gridable": False},
                            "columns": {"default": None},
                        }
                    }
                }
            },
        },
        {"if": {}, "then": {"properties": {"parameters": {"properties": {"lost": {}}}}}},
    ],
}


def test_names_and_defaults_are_listed_by_the_option_they_depend_on() -> None:
    lines = (KindOptions(SCHEMA, []).epilog() or "").splitlines()
    assert lines[-1] == "parameters with algo A: depth*=5  style=plain  columns"


def test_a_kind_without_such_fields_has_nothing_to_add() -> None:
    assert KindOptions({"properties": SCHEMA["properties"]}, []).epilog() is None
