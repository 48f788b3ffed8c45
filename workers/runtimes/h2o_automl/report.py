"""One page about a training that needs nothing else: no network, no script, pictures inside it."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from workers.runtimes.h2o_automl.tables import Table, short_model

REPORT_ARTIFACT = "report.html"
_MOST_ROWS = 100
# The heading of each part, and how its pictures are read.
_PARTS = {
    "confusion_matrix": (
        "Confusion matrix",
        "Each row is what the test rows are, each column what the best model takes them for.",
    ),
    "roc": (
        "ROC curve",
        "How many of the second class are found, against how many of the first are taken for it.",
    ),
    "precision_recall": (
        "Precision and recall",
        "How many of those that are taken for the second class belong to it, the more of them are found.",
    ),
    "thresholds": (
        "Thresholds",
        "What happens to each measure when more certainty is asked for before a row is called the second class.",
    ),
    "gains_lift": (
        "Gains and lift",
        "How many of the second class are found among the rows that the model finds most probable.",
    ),
    "residuals": (
        "Residuals",
        "Each dot is a test row; the nearer to the line, the better it was predicted. A band that bends or widens is "
        "an error that the model makes systematically.",
    ),
    "variable_importance": (
        "Variable importance",
        "How much each model relies on each feature; 1 is the feature it relies on most.",
    ),
    "learning_curve": (
        "Learning curve",
        "How the error fell while the model was trained. Where validation rises again, it learned by heart.",
    ),
    "residual_distribution": (
        "Distribution of the residuals",
        "How often each size of error is; far from the line, there are more large errors than chance would make.",
    ),
    "residuals_by_feature": (
        "Residuals by feature",
        "For which rows the model predicts too little (right of 0) or too much (left of it).",
    ),
    "shap_summary": (
        "SHAP summary",
        "Each dot is a test row: how far this feature's value moved its prediction up or down.",
    ),
    "clusters": ("Clusters", "Where each cluster's centre lies, and how many of the test rows are in it."),
    "principal_components": ("Principal components", "Which columns go together, in which direction."),
    "anomaly_scores": ("Anomaly scores", "How odd the model finds the test rows; the few on the right are the oddest."),
    "pareto_front": ("Pareto front", "Models on the line are beaten by no other in both quality and speed."),
    "partial_dependence": ("Partial dependence", "How the mean prediction changes when only this feature does."),
    "ice": ("Single rows", "How the prediction of single test rows changes when only this feature does."),
    "partial_dependence_models": (
        "Partial dependence across models",
        "Whether the best models have learned the same of this feature.",
    ),
    "model_correlation": (
        "Model correlation",
        "How alike two models predict; models that differ make a better ensemble.",
    ),
}

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff; max-width: 60rem; margin: 0 auto;
  padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid #d8dee5; padding-bottom: .25rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .2rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; max-width: 46rem; }
.quiet { color: #5a6875; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .8rem; margin: 1.2rem 0; }
dl div { background: #f3f6f9; border-radius: 6px; padding: .55rem .8rem; }
dt { font-size: .8rem; color: #5a6875; }
dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1rem; font-size: .9rem; }
a { color: #0b5cad; }
figure { margin: .6rem 0; break-inside: avoid; }
img { max-width: 100%; height: auto; border: 1px solid #e4e9ee; border-radius: 6px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid #e4e9ee; white-space: nowrap; }
td.number, th.number { text-align: right; }
details { margin: .4rem 0 1rem; }
summary { cursor: pointer; color: #0b5cad; }
.warning { background: #fff6e5; border-left: 4px solid #d98c00; padding: .5rem .8rem; margin: .5rem 0; }
@media print { details, nav { display: none; } body { max-width: none; } }
"""


@dataclass(frozen=True)
class Picture:
    """A part of the explanation: its table, and the picture drawn from it as PNG."""

    role: str
    table: Table
    png: bytes


@dataclass(frozen=True)
class Summary:
    """The facts at the page's head; ``facts`` are shown in their order."""

    title: str
    subtitle: str
    facts: Mapping[str, str]
    leaderboard: Table | None
    warnings: Sequence[str]
    missing: Sequence[str]


def report(summary: Summary, pictures: Sequence[Picture]) -> bytes:
    """The page as UTF-8. Whatever comes from the data is text in it, never markup."""
    body = [
        f"<h1>{_text(summary.title)}</h1>",
        f'<p class="quiet">{_text(summary.subtitle)}</p>',
        _facts(summary.facts),
    ]
    body += [f'<p class="warning">{_text(warning)}</p>' for warning in summary.warnings]
    if summary.missing:
        missing = ", ".join(name.replace("_", " ") for name in summary.missing)
        body.append(f'<p class="warning">Missing here, for reasons that the job\'s log gives: {_text(missing)}.</p>')
    roles = list(dict.fromkeys(picture.role for picture in pictures))
    body.append(_contents(roles, has_leaderboard=summary.leaderboard is not None))
    if summary.leaderboard is not None:
        note, table = _text(summary.leaderboard.note), _table(summary.leaderboard)
        body += [f'<h2 id="leaderboard">Leaderboard</h2><p>{note}</p>', table]
    for role in roles:
        heading, reading = _PARTS[role]
        body.append(f'<h2 id="{role}">{_text(heading)}</h2><p>{_text(reading)}</p>')
        of_role = [picture for picture in pictures if picture.role == role]
        body += [_figure(picture, is_alone=len(of_role) == 1) for picture in of_role]
    return _page(summary.title, "\n".join(body)).encode()


def shown(value: JsonValue) -> str:
    """A cell as people read it: numbers with six digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)


def _page(title: str, body: str) -> str:
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _facts(facts: Mapping[str, str]) -> str:
    cells = (f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in facts.items())
    return f"<dl>{''.join(cells)}</dl>"


def _contents(roles: Sequence[str], *, has_leaderboard: bool) -> str:
    links = [("leaderboard", "Leaderboard")] if has_leaderboard else []
    links += [(role, _PARTS[role][0]) for role in roles]
    return "<nav>" + " ".join(f'<a href="#{anchor}">{_text(heading)}</a>' for anchor, heading in links) + "</nav>"


def _figure(picture: Picture, *, is_alone: bool) -> str:
    """One that is alone under its heading needs none of its own."""
    table = picture.table
    data = base64.b64encode(picture.png).decode()
    heading = "" if is_alone else f"<h3>{_text(table.title)}</h3>"
    return (
        f'{heading}<figure><img alt="{_text(table.title)}" src="data:image/png;base64,{data}"></figure>'
        f"<details><summary>The numbers</summary><p>{_text(table.note)}</p>{_table(table)}</details>"
    )


def _table(table: Table) -> str:
    rows = table.rows[:_MOST_ROWS]
    numeric = [
        all(isinstance(row[place], int | float) or row[place] is None for row in rows)
        for place in range(len(table.columns))
    ]
    head = "".join(_cell("th", name, is_number) for name, is_number in zip(table.columns, numeric, strict=True))
    lines = (
        "".join(_cell("td", shown(cell), is_number) for cell, is_number in zip(row, numeric, strict=True))
        for row in rows
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    left = len(table.rows) - len(rows)
    more = f"<p class=quiet>and {left} more rows</p>" if left else ""
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>{more}'


def _cell(tag: str, text: str, is_number: bool) -> str:
    return f"<{tag}{' class=number' if is_number else ''}>{_text(text)}</{tag}>"


def _text(text: str) -> str:
    return html.escape(short_model(text), quote=True)
