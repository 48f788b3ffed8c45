"""``turnout compare``: trainings side by side."""

import json
import re
from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from turnout.cli.inputs import named_model
from turnout.cli.session import Session, json_option, pass_session, print_json
from turnout.cli.wording import number, shortened
from turnout.records import Comparison

_JOB_ID = re.compile(r"(?:job:)?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")
_LONGEST_VALUE = 40


@click.command(short_help="Compare trainings side by side.")
@click.argument("items", nargs=-1, required=True, metavar="JOB|NAME[/VERSION]…")
@json_option
@pass_session
def compare(session: Session, items: tuple[str, ...], as_json: bool) -> None:
    """Compare trainings, by their jobs or by named models: metrics on the test rows, and the options that differ."""
    print_comparison(session, session.client.compare(*map(_item, items)), as_json=as_json)


def print_comparison(session: Session, found: Comparison, *, as_json: bool) -> None:
    if as_json:
        print_json(found.raw)
        return
    for caveat in found.caveats:
        session.err.print(Text(caveat, style="yellow"))
    if not found.comparable:
        session.err.print("These numbers don't tell which one is better.")
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("")
    for item in found.items:
        table.add_column(item.model or item.item.removeprefix("job:"), justify="right", overflow="fold")
    _row(table, "leader" if all(item.is_leader for item in found.items) else "model", [i.model_id for i in found.items])
    _row(table, "sort_metric", [item.sort_metric for item in found.items])
    _row(table, "test rows", [str(item.rows.get("test", "-")) for item in found.items])
    for metric in found.metrics:
        cells = [number(value) for value in metric.values]
        table.add_row(metric.name, *(_cell(cell, index in metric.best) for index, cell in enumerate(cells)))
    for option in found.options:
        _row(table, option.name, [_value(value) for value in option.values])
    session.out.print(table)


def _row(table: Table, name: str, values: Sequence[str]) -> None:
    table.add_row(name, *map(Text, values))


def _cell(text: str, best: bool) -> Text:
    return Text(f"{text} *" if best else text, style="green" if best else "")


def _value(value: object) -> str:
    return "-" if value is None else shortened(value if isinstance(value, str) else json.dumps(value), _LONGEST_VALUE)


def _item(text: str) -> str:
    if job := _JOB_ID.fullmatch(text):
        return f"job:{job[1]}"
    if text.startswith("job:"):
        return text
    name, version = named_model(text)
    return f"model:{name}" if version is None else f"model:{name}/{version}"
