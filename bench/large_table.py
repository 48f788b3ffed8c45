"""What a large table costs: a million rows of twenty columns, as CSV and as Parquet, through the whole program.

For each: the upload, the look at its columns, the training of one GLM without explanation, and the prediction of all
rows by it; seconds for each step, and the peak memory of every sort of process. The API has to stay under 300 MB.

``python -P -m bench.large_table`` runs it; ``--rows`` and ``--only`` change what. Nothing else should run meanwhile.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from bench.machine import free_ports, machine
from turnout import Client, Job
from turnout.records import File
from turnout.stack import Stack, StackSettings

FORMS = ("csv", "parquet")
WANTED_API_MB = 300
_MB = 1 << 20
_LOOK_SECONDS = 0.1
_Found = TypeVar("_Found")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table (default 1,000,000)")
    parser.add_argument("--only", nargs="+", choices=FORMS, default=FORMS, help="the forms to try (default both)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="turnout-bench-") as directory:
        # `turnout up` records its address for the command line; this one is gone in a moment.
        os.environ["XDG_CONFIG_HOME"] = directory
        return run(Path(directory), arguments.only, arguments.rows)


def run(directory: Path, forms: list[str], rows: int) -> int:
    table = make_table(rows)
    api, redis, cluster, flower = free_ports(4)
    stack = Stack(
        StackSettings(home=directory / "home", api_port=api, redis_port=redis, h2o_port=cluster, flower_port=flower)
    )
    peaks: dict[str, int] = {}
    try:
        connection = stack.start(lambda line: print(line, flush=True))
        print(f"\n{machine()}\n\n| step | seconds |\n|---|---|", flush=True)
        with stack.interruptible(), Client(connection.url, connection.api_key) as client, watching(peaks):
            for form in forms:
                path = directory / f"table.{form}"
                (pacsv.write_csv if form == "csv" else pq.write_table)(table, path)
                through(client, path, form)
    finally:
        stack.stop()
    print("\n| processes | peak memory of one, MB |\n|---|---|")
    for name, peak in sorted(peaks.items()):
        print(f"| {name} | {peak / _MB:.0f} |")
    fits = peaks["api"] < WANTED_API_MB * _MB
    print(f"\nThe API under {WANTED_API_MB} MB: {'reached' if fits else 'missed'}.")
    return 0 if fits else 1


def make_table(rows: int) -> pa.Table:
    """Twenty columns, a few values missing: numbers, categories, a day, and two classes that depend on them."""
    random = np.random.default_rng(7)
    numbers = np.round(random.normal(size=(14, rows)), 6)
    towns = pa.array([f"town {number}" for number in range(200)])
    colours = pa.array(["red", "green", "blue", "deep, dark"])
    town = random.integers(0, len(towns), rows)
    missing = random.random(rows) < 0.02
    likes = numbers[0] - numbers[1] + (town % 5) / 2 + random.normal(size=rows) > 1
    return pa.table(
        {
            **{f"number {index}": pa.array(column, mask=missing) for index, column in enumerate(numbers)},
            "count": random.integers(0, 1000, rows),
            "amount": np.round(random.gamma(2.0, 50.0, rows), 2),
            "town": towns.take(pa.array(town)),
            "colour": colours.take(pa.array(random.integers(0, len(colours), rows))),
            "day": pa.array(random.integers(15_000, 20_000, rows).astype("int32"), pa.date32()),
            "likes": pa.array(["no", "yes"]).take(pa.array(likes.astype("int8"))),
        }
    )


def through(client: Client, path: Path, form: str) -> None:
    size = f"{form}, {path.stat().st_size / _MB:.0f} MB"
    file: File = timed(f"{size}: upload", lambda: client.upload(path))
    timed(f"{size}: the look at its columns", lambda: client.file(file.id))
    training = {
        "dataset": file,
        "target": "likes",
        "include_algos": ["GLM"],
        "max_models": 1,
        "nfolds": 0,
        "seed": 1,
        "explain": False,
    }
    job = timed(f"{size}: training", lambda: finished(client.submit("train_automl", training)))
    model = {"job": job.id, "artifact": "model.zip"}
    timed(
        f"{size}: prediction of all rows",
        lambda: finished(client.submit("score_table", {"model": model, "dataset": file, "format": form})),
    )


def finished(job: Job) -> Job:
    record = job.wait(1800)
    if record.state != "succeeded":
        raise SystemExit(f"The job {record.state}: {record.error}")
    return job


def timed(step: str, act: Callable[[], _Found]) -> _Found:
    began = time.monotonic()
    found = act()
    print(f"| {step} | {time.monotonic() - began:.1f} |", flush=True)
    return found


@contextmanager
def watching(peaks: dict[str, int]) -> Iterator[None]:
    """Keep the peak memory of our processes, by what they are, up to date."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_SECONDS):
            for process in psutil.Process().children(recursive=True):
                look(process, peaks)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def look(process: psutil.Process, peaks: dict[str, int]) -> None:
    try:
        words = process.cmdline()
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except (psutil.Error, OSError):
        return
    peak = next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)
    if words and peak:
        name = what_is(words)
        peaks[name] = max(peaks.get(name, 0), peak)


def what_is(words: list[str]) -> str:
    if "-m" not in words[:-1]:
        return Path(words[0].split()[0]).name
    module = words[words.index("-m") + 1]
    return f"{module} {words[words.index('--queue') + 1]}" if "--queue" in words else module


if __name__ == "__main__":
    sys.exit(main())
