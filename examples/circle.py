"""One AutoML job from submission to leaderboard: two noisy circles, one inside the other, told apart by H2O.

Starts everything on this machine, and ends it afterwards; with KEEP=1 it runs on until Ctrl-C.
"""

import contextlib
import csv
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sklearn.datasets import make_circles

from turnout import Client, Job
from turnout.cli.endings import Exit, of_job
from turnout.cli.watching import watch
from turnout.cli.wording import size
from turnout.stack import Connection, Stack, StackError, StackSettings, ToldToEnd

# What is piped into a file is not cut to the width of a screen.
CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def main() -> int:
    try:
        stack = Stack(StackSettings())
        try:
            connection = stack.start(lambda line: CONSOLE.print(line, markup=False, soft_wrap=True))
            with stack.interruptible():
                code = run(connection)
            if os.environ.get("KEEP") == "1":
                CONSOLE.print("\nEverything keeps running; Ctrl-C ends it.")
                stack.run_until_signalled()
        finally:
            # The terminal may be gone: that is what SIGHUP says.
            with contextlib.suppress(OSError):
                CONSOLE.print("Stopping everything …")
            stack.stop()
    except StackError as exc:
        CONSOLE.print(f"[bold red]Error:[/] {escape(str(exc))}", soft_wrap=True)
        return Exit.FAILED
    except ToldToEnd as exc:
        return exc.exit_code
    return code


def run(connection: Connection) -> int:
    """Submit the job, follow it, and show what it found; the exit code tells how it ended."""
    data = write_circle(connection.home / "circle.csv")
    with Client(connection.url, connection.api_key) as client:
        file = client.upload(data)
        CONSOLE.print(f"Uploaded {file.name}: {size(file.size_bytes)}, file:{file.id}")
        job = client.submit(
            "train_automl",
            {
                "dataset": file,
                "target": "y",
                "features": ["x1", "x2"],
                "problem": "classification",
                "split": {"ratios": [0.6, 0.2, 0.2], "seed": 133},
                "max_models": 10,
                "max_runtime_secs": 100,
                "seed": 2,
            },
        )
        CONSOLE.print(f"Submitted train_automl as {job.id}\n")
        record = watch(job, CONSOLE)
        if record.state == "succeeded":
            show_result(job)
    show_addresses(connection, job)
    return of_job(record)


def write_circle(path: Path) -> Path:
    """1000 points with the class of each: 0 for the outer circle, 1 for the inner one."""
    points, classes = make_circles(n_samples=1000, noise=0.2, factor=0.5, random_state=9)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["x1", "x2", "y"])
        for (x1, x2), y in zip(points, classes, strict=True):
            writer.writerow([repr(float(x1)), repr(float(x2)), int(y)])
    return path


def show_result(job: Job) -> None:
    """The leader on the test rows, and what the job saved."""
    result = job.record.result or {}
    rows = ", ".join(f"{count} {part}" for part, count in result["rows"].items())
    CONSOLE.print(f"\n[bold]Rows[/]  {rows}")
    matrix = result.get("confusion_matrix")
    if matrix:
        CONSOLE.print(f"\n[bold]Confusion matrix[/] of {result['leader']} on the test rows")
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("actual \\ predicted")
        for label in matrix["labels"]:
            table.add_column(str(label), justify="right")
        for label, counts in zip(matrix["labels"], matrix["matrix"], strict=True):
            table.add_row(str(label), *map(str, counts))
        CONSOLE.print(table)
    CONSOLE.print("\n[bold]Artifacts[/]")
    for artifact in job.artifacts():
        CONSOLE.print(f"  {artifact.name}  {size(artifact.size_bytes)}", soft_wrap=True)


def show_addresses(connection: Connection, job: Job) -> None:
    CONSOLE.print("\n[bold]Addresses[/]")
    CONSOLE.print(f"  API     {connection.url}/docs", soft_wrap=True)
    CONSOLE.print(f"  Job     {job.url}", soft_wrap=True)
    CONSOLE.print(f"  Flower  {connection.flower_url}/task/{job.id}", soft_wrap=True)
    CONSOLE.print(f"          user {connection.flower_user}, password {connection.flower_password}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
