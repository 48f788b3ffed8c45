"""What several commands take, from its text."""

import math

import click


def seconds(text: str) -> float:
    """A finite number: no clock can wait for another one. Raises ``click.BadParameter``."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise click.BadParameter(f"{text!r} is no finite number.")
    return number


def known_id(text: str) -> str:
    """An id, which is never empty: that is a script's variable that was not set. Raises ``click.BadParameter``."""
    if not text.strip():
        raise click.BadParameter("The id is empty.")
    return text.strip()


def tag(text: str) -> tuple[str, str]:
    """``NAME=VALUE`` in its parts. Raises ``click.UsageError``."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--tag: {text!r} is not NAME=VALUE.")
    return name, value
