"""``turnout`` in a terminal."""

from turnout.cli.app import cli, main

__all__ = ["cli", "main"]
