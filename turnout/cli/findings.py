"""What was looked at and what was found, a line each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.table import Table
from rich.text import Text

from turnout.cli.session import Session, print_json

Status = Literal["ok", "warn", "fail"]
_STYLES: dict[str, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@dataclass(frozen=True)
class Finding:
    """``message`` says what is, ``advice`` what to do; None where nothing is to be done."""

    name: str
    status: Status
    message: str
    advice: str | None = None


def print_findings(session: Session, findings: Sequence[Finding], *, as_json: bool) -> None:
    if as_json:
        print_json({"findings": [vars(finding) for finding in findings], "ok": not any_fails(findings)})
        return
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        words = finding.message if finding.advice is None else f"{finding.message} {finding.advice}"
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_column(width=4)
        line.add_column(width=width)
        line.add_column(overflow="fold")
        status = Text(finding.status, style=_STYLES.get(finding.status, ""))
        line.add_row(status, Text(finding.name.replace("_", " ")), Text(words))
        session.out.print(line)
    counts = {status: sum(finding.status == status for finding in findings) for status in ("fail", "warn")}
    session.err.print(f"{len(findings)} looked at: {counts['fail']} fail, {counts['warn']} warn.", style="dim")


def any_fails(findings: Sequence[Finding]) -> bool:
    return any(finding.status == "fail" for finding in findings)
