"""Documents as they are inserted in bulk: what SQLAlchemy's own way would have stored."""

import json
import math
from typing import Any

import pytest

from db.row_inserts import _document


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"text": 'é "quoted" \\ \n \u2028 🚲', "nothing": None, "yes": True},
        {"small": 1e-320, "large": 1.7976931348623157e308, "whole": 2**70, "list": [1, [2.5, {}]]},
        {"half a character": "\ud800"},
    ],
)
def test_it_is_read_back_as_it_was(value: dict[str, Any]) -> None:
    assert json.loads(_document(value)) == value


def test_what_is_no_number_stays_so_for_the_database_to_judge() -> None:
    assert math.isnan(json.loads(_document({"x": math.nan}))["x"])
