"""Documents as they are kept: what SQLAlchemy's own way would have stored."""

import json
import math
from typing import Any

import pytest

from db.json_text import from_text, to_text


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"text": 'é "quoted" \\ \n \u2028 🚲', "nothing": None, "yes": True},
        {"small": 1e-320, "large": 1.7976931348623157e308, "whole": 2**70, "list": [1, [2.5, {}]]},
        {"half a character": "\ud800"},
        {"deep": json.loads("[" * 400 + "]" * 400)},
    ],
)
def test_it_is_read_back_as_it_was(value: dict[str, Any]) -> None:
    assert json.loads(to_text(value)) == value
    assert from_text(to_text(value)) == value
    assert from_text(json.dumps(value).encode()) == value


def test_what_is_no_number_stays_so_for_the_database_to_judge() -> None:
    assert math.isnan(from_text(to_text({"x": math.nan}))["x"])


def test_what_is_no_document_is_refused() -> None:
    with pytest.raises(TypeError):
        to_text({"x": object()})
    with pytest.raises(ValueError, match="Expecting"):
        from_text("{]}")
