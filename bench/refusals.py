"""How fast a table that nothing can be trained on is refused: files of 10 MB, the fault at their very end.

Each is checked as a runner checks it, then submitted to a warm Turnout, where the time counts from the job's start to
its end. Nothing may take longer than a second.

``python -P -m bench.refusals [--check-only]``. Nothing else should run meanwhile.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.machine import free_ports, machine
from tasks.errors import InvalidInput
from tasks.kinds.train_automl import TrainAutoML
from turnout import Client
from turnout.stack import Stack, StackSettings
from workers.runtimes.h2o_automl.table_check import check_tables

FILE_BYTES = 10_000_000
ALLOWED_SECONDS = 1.0
SHAPES = {"narrow": 1, "long": 8, "wide": 5000}

Spoil = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Fault:
    """One way of being wrong: what is done to good rows, or the options that don't fit."""

    name: str
    spoil: Spoil = bytes
    options: dict[str, object] = field(default_factory=dict)
    target: str = "y"


def append(make: Callable[[int], str]) -> Spoil:
    """A last line, made for so many columns."""
    return lambda good: good + (make(good.split(b"\n", 1)[0].count(b",") + 1) + "\n").encode()


def with_target(value: str) -> Spoil:
    def spoil(good: bytes) -> bytes:
        header, _, rows = good.partition(b"\n")
        lines = (line.rpartition(b",")[0] for line in rows.splitlines())
        return header + b"\n" + b"".join(line + b"," + value.encode() + b"\n" for line in lines)

    return spoil


def same_rows(good: bytes) -> bytes:
    header, first, *_ = good.split(b"\n", 2)
    lines = [first, first[:-1] + (b"a" if first.endswith(b"b") else b"b")]
    return header + b"\n" + b"".join(lines[n % 2] + b"\n" for n in range(len(good) // (len(first) + 1)))


FAULTS = [
    Fault("ragged last line", append(lambda _columns: "1")),
    Fault("ragged after a quoted line break", lambda good: append(lambda _n: "1")(append(quoted_break)(good))),
    Fault("every line ragged", lambda good: good.replace(b"\n", b",1\n").replace(b",1\n", b"\n", 1)),
    Fault("latin-1 byte", lambda good: append(lambda n: "1," * (n - 1) + "a")(good)[:-1] + b"\xe9\n"),
    Fault("UTF-16 without a mark", lambda good: good[: len(good) // 2].decode().encode("utf-16-le")),
    Fault("NUL byte", append(lambda n: "1," * (n - 1) + "\0")),
    Fault("quote never closed", append(lambda n: "1," * (n - 1) + '"a')),
    Fault("text after a quote", append(lambda n: '"1"x,' + "1," * (n - 2) + "a")),
    Fault("line that begins with #", append(lambda n: "#" + "1," * (n - 1) + "a")),
    Fault("one class", with_target("a")),
    Fault("constant number", with_target("1.5"), {"problem": "regression"}),
    Fault("empty target", with_target("")),
    Fault("text in a number target", append(lambda n: "abc" + ",1" * (n - 1)), {"problem": "regression"}, "x0"),
    Fault("constant predictors", same_rows),
    Fault("no such target", target="z"),
    Fault("sort_metric of numbers", options={"sort_metric": "MAE"}),
    Fault("test_dataset with a new class", append(lambda n: "1," * (n - 1) + "c"), {"test_dataset": True}),
]


def quoted_break(columns: int) -> str:
    return "1," * (columns - 1) + '"a\nb"'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check-only", action="store_true", help="without the program and its cluster")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="turnout-bench-") as directory:
        os.environ["XDG_CONFIG_HOME"] = directory
        cases = [*csv_cases(Path(directory)), *parquet_cases(Path(directory))]
        for path, spec, _name in cases[:1]:
            checked(path, spec)
        seconds = {name: [*checked(path, spec)] for path, spec, name in cases}
        if not arguments.check_only:
            for name, took in through_turnout(Path(directory), cases):
                seconds[name].append(took)
    return report(seconds)


def csv_cases(directory: Path) -> Iterator[tuple[dict[str, Path], dict[str, object], str]]:
    for shape, columns in SHAPES.items():
        good = good_csv(columns)
        (directory / f"{shape}.csv").write_bytes(good)
        for fault in FAULTS:
            path = directory / f"{shape}-{fault.name.replace(' ', '-')}.csv"
            path.write_bytes(fault.spoil(good))
            paths = {"dataset": path}
            options = dict(fault.options)
            if options.pop("test_dataset", False):
                paths = {"dataset": directory / f"{shape}.csv", "test_dataset": path}
            yield paths, {"target": fault.target, **options}, f"{shape} CSV: {fault.name}"


def parquet_cases(directory: Path) -> Iterator[tuple[dict[str, Path], dict[str, object], str]]:
    for shape, columns in SHAPES.items():
        rows = FILE_BYTES // 8 // columns
        table = pa.table({f"x{n}": pa.array(numbers(rows)) for n in range(columns)})
        classes = ["ab"[n % 2] for n in range(rows)]
        for fault, target, codec in (
            ("lz4", classes, "lz4"),
            ("brotli", classes, "brotli"),
            ("one class", ["a"] * rows, "snappy"),
            ("empty target", pa.nulls(rows, pa.string()), "snappy"),
        ):
            path = directory / f"{shape}-{fault.replace(' ', '-')}.parquet"
            pq.write_table(table.append_column("y", pa.array(target, pa.string())), path, compression=codec)
            yield {"dataset": path}, {"target": "y"}, f"{shape} Parquet: {fault}"


def numbers(count: int) -> list[float]:
    random.seed(count)
    return [random.random() for _ in range(count)]  # noqa: S311 - a table, no secret


def good_csv(columns: int) -> bytes:
    """A table of 10 MB with so many numbers in a row and a class of two."""
    lines = [",".join([*(f"x{n}" for n in range(columns)), "y"])]
    size = len(lines[0])
    values = [f"{value:.6f}" for value in numbers(100_003)]
    at = 0
    while size < FILE_BYTES:
        row = [values[(at + n) % len(values)] for n in range(columns)]
        at += columns
        lines.append(",".join([*row, "ab"[len(lines) % 2]]))
        size += len(lines[-1]) + 1
    return ("\n".join(lines) + "\n").encode()


def checked(paths: dict[str, Path], spec: dict[str, object]) -> tuple[float, float]:
    inputs = {role: {"file": role} for role in paths}
    whole = TrainAutoML.model_validate({**spec, **inputs})
    started, computed = time.perf_counter(), time.process_time()
    try:
        check_tables(whole, paths["dataset"], {"test": paths["test_dataset"]} if "test_dataset" in paths else {})
    except InvalidInput:
        return time.perf_counter() - started, time.process_time() - computed
    raise SystemExit(f"{paths} was not refused")


def through_turnout(
    directory: Path, cases: list[tuple[dict[str, Path], dict[str, object], str]]
) -> Iterator[tuple[str, float]]:
    api, redis, cluster, flower = free_ports(4)
    settings = StackSettings(
        home=directory / "home", api_port=api, redis_port=redis, h2o_port=cluster, flower_port=flower
    )
    stack = Stack(settings)
    try:
        connection = stack.start(lambda line: print(line, flush=True))
        with stack.interruptible(), Client(connection.url, connection.api_key) as client:
            for paths, spec, name in cases:
                inputs = {role: client.upload(path) for role, path in paths.items()}
                record = client.submit("train_automl", {**spec, **inputs}).wait(60)
                if record.reason != "invalid_input" or record.started_at is None or record.finished_at is None:
                    raise SystemExit(f"{name}: {record.state} ({record.reason}) instead of a refusal")
                yield name, (record.finished_at - record.started_at).total_seconds()
    finally:
        stack.stop()


def report(seconds: dict[str, list[float]]) -> int:
    """Of each case: seconds of the check, of processor time in it, and of the job, if one was run."""
    print(f"\n{machine()}, load {os.getloadavg()[0]:.1f}\n")
    print(f"{'seconds until the refusal':50}   check  (processor)  job's start to end  of the second")
    for name, (check, computed, *job) in seconds.items():
        print(
            f"{name:50} {check:7.2f}  {computed:11.2f}  {job[0] if job else float('nan'):18.2f}  "
            f"{(job[0] if job else check) / ALLOWED_SECONDS:13.0%}"
        )
    slowest = max((job[0] if job else check) for check, _computed, *job in seconds.values())
    verdict = "within" if slowest <= ALLOWED_SECONDS else "ABOVE"
    print(f"\nslowest {slowest:.2f} s, allowed {ALLOWED_SECONDS:g} s: {verdict}")
    return 0 if slowest <= ALLOWED_SECONDS else 1


if __name__ == "__main__":
    raise SystemExit(main())
