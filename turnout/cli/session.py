"""What every command has at hand: the client, made when first used, and where to print."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from turnout.cli.streams import Screen, is_unicode
from turnout.client import Client

_Command = TypeVar("_Command", bound=Callable[..., Any])
# A table that goes into a file or a pipe is never cut to fit a screen.
_UNBOUNDED = 10_000


class Session:
    """Data goes to standard output, everything else to standard error."""

    def __init__(self, url: str | None) -> None:
        self.url = url

    @cached_property
    def client(self) -> Client:
        return Client(self.url)

    @cached_property
    def out(self) -> Console:
        return Screen(highlight=False, width=None if sys.stdout.isatty() else _UNBOUNDED)

    @cached_property
    def err(self) -> Console:
        return Screen(stderr=True, highlight=False, soft_wrap=True)

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()


pass_session = click.make_pass_decorator(Session)


def json_option(command: _Command) -> _Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, as the API gives it.")(command)


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """``indent=None``: all in one line."""
    # Escaped where the output can't hold every character: JSON stays what it means.
    click.echo(json.dumps(value, indent=indent, ensure_ascii=not is_unicode(sys.stdout), default=_time_as_json))


def _time_as_json(value: object) -> str:
    """As the API writes it (RFC 3339)."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def print_table(
    session: Session, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()
) -> None:
    """Columns stay whole; on a narrow screen the last one gives way."""
    if not rows:
        session.err.print("Nothing to show.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        last = name == columns[-1]
        table.add_column(
            name, justify="right" if name in right else "left", no_wrap=True, overflow="ellipsis" if last else "fold"
        )
    for row in rows:
        table.add_row(*(Text(value) for value in row))
    session.out.print(table)


def print_fields(session: Session, fields: Mapping[str, str | None]) -> None:
    """A name and a value per line; what is not known is left out."""
    width = max(map(len, fields)) + 2
    for name, value in fields.items():
        if value:
            session.out.print(Text(f"{name + ':':<{width}}", style="bold") + Text(value), soft_wrap=True)
