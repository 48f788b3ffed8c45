"""A leaderboard as a table. Metrics stay whole; only a model's name gives way on a narrow screen."""

from collections.abc import Sequence
from itertools import takewhile

from rich.table import Table
from rich.text import Text

from turnout.cli.wording import number, shortened
from turnout.records import Leaderboard

# H2O's own order for each problem; a database may have changed the order of the fields.
_ORDER = ("auc", "logloss", "aucpr", "mean_per_class_error", "rmse", "mse", "mae", "rmsle", "mean_residual_deviance")
_BETWEEN = 2
_NARROWEST_NAME = 20
_LONGEST_HEADING = 12


def leaderboard_table(board: Leaderboard, width: int, most_rows: int | None = None) -> Table:
    """``width`` is the screen's, in characters; ``most_rows`` leaves out the worst models."""
    metrics = _metrics(board)
    # What the column of the marks takes.
    width -= len("kept") + _BETWEEN if board.kept else 0
    rows = board.rows if most_rows is None else board.rows[:most_rows]
    cells = [[number(row.metrics.get(name)) for name in metrics] for row in rows]
    names = [row.model_id for row in rows]
    longest_name = max(map(len, names), default=0)
    headings = metrics if _needed(metrics, cells) + longest_name <= width else [_folded(name) for name in metrics]
    while len(headings) > 1 and _needed(headings, cells) + min(_NARROWEST_NAME, longest_name) > width:
        headings = headings[:-1]
        cells = [row[: len(headings)] for row in cells]
    names = _fitted(names, max(_NARROWEST_NAME, width - _needed(headings, cells)))
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _BETWEEN, 0, 0))
    table.add_column("model_id", no_wrap=True)
    if board.kept:
        table.add_column("kept", no_wrap=True)
    for name, heading in zip(metrics, headings, strict=False):
        style = "bold cyan" if _same(name, board.sort_metric) else None
        table.add_column(heading, justify="right", no_wrap=True, header_style=style)
    for row, name, values in zip(rows, names, cells, strict=True):
        kept = ("*" if row.model_id in board.kept else "",) if board.kept else ()
        table.add_row(Text(name, style="green" if row.rank == 1 else ""), *kept, *values)
    return table


def _fitted(names: Sequence[str], width: int) -> list[str]:
    """Names that are too long lose first the end that they share, which tells none from another."""
    if all(len(name) <= width for name in names):
        return list(names)
    ends = zip(*(reversed(name) for name in names), strict=False)
    shared = "".join(chars[0] for chars in takewhile(lambda chars: len(set(chars)) == 1, ends))[::-1]
    cut = shared.find("_")
    if len(names) > 1 and cut >= 0:
        names = [f"{name.removesuffix(shared[cut:])}…" for name in names]
    return [shortened(name, width) for name in names]


def _metrics(board: Leaderboard) -> list[str]:
    present = dict.fromkeys(name for row in board.rows for name in row.metrics)
    known = [name for name in _ORDER if name in present]
    # Without a name of ours (another library's metrics), all are shown as they came.
    return known or list(present)


def _needed(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    """The width of all columns but the first."""
    widths = [max(map(len, heading.split("\n"))) for heading in headings]
    for row in cells:
        widths = [max(width, len(value)) for width, value in zip(widths, row, strict=True)]
    return sum(widths) + _BETWEEN * (len(widths) + 1)


def _folded(heading: str) -> str:
    """A long heading in lines that break at its underscores."""
    lines = [""]
    for word in heading.split("_"):
        joined = f"{lines[-1]}_{word}" if lines[-1] else word
        if len(joined) <= _LONGEST_HEADING:
            lines[-1] = joined
        else:
            lines += [f"_{word}"]
    return "\n".join(lines)


def _same(name: str, sort_metric: str | None) -> bool:
    return sort_metric is not None and name.lower() == sort_metric.lower()
