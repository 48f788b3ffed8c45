"""What was kept of the pipelines' answers, and how others are held against them."""

import json
import math
from pathlib import Path
from typing import Any


def golden(kind: str) -> dict[str, Any]:
    """What the pipelines of transformers 4.57 said."""
    document: dict[str, Any] = json.loads((Path(__file__).parent / f"{kind}.json").read_text())
    return document


def assert_same(found: Any, expected: Any, place: str = "") -> None:
    """Equal, numbers within what the order of additions changes."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), place
        for name, value in expected.items():
            assert_same(found[name], value, f"{place}.{name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), place
        for number, value in enumerate(expected):
            assert_same(found[number], value, f"{place}.{number}")
    elif isinstance(expected, float):
        assert math.isclose(found, expected, rel_tol=1e-4, abs_tol=2e-6), f"{place}: {found} is not {expected}"
    else:
        assert found == expected, f"{place}: {found!r} is not {expected!r}"
