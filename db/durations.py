"""Durations in settings, for every room that has some."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field

_PLAIN_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
# Taken from the present moment, it has to leave one that every database can write down.
_LONGEST = timedelta(days=365_000)


def _seconds(value: object) -> object:
    return float(value) if isinstance(value, str) and _PLAIN_SECONDS.fullmatch(value) else value


Duration = Annotated[timedelta, BeforeValidator(_seconds), Field(ge=timedelta(0), le=_LONGEST)]
"""Plain seconds (``10``, ``0.5``), ISO 8601 (``PT10S``, ``P30D``) or ``H:MM:SS``; at most a thousand years."""
