"""Nothing lost, nothing twice: Turnout under fire, and beside it plain Celery.

A stream of jobs (98.9 % about 10 ms, 1 % about 1 s, 0.1 % asleep for 30 s; some hold the interpreter for three leases,
some spin in C, some start children, some save files) while every part is killed, stopped, frozen and cut off. An
external ledger, a witness inside the database and the event streams of watchers are compared. The exit code is 1 if
anything was lost or committed twice, or an extra run is no fault's. Nothing else should run meanwhile.

``--stream inference``: jobs that share runners and batches, on a real model (MiniLM). Some are cancelled while they
wait or run, some have inputs that the model can't take, some raise, end the runner of all, take its memory, or stay
when they are cancelled. None of the others may fail for that, and each has to have the vectors that the library gives
for its texts by itself. ``--stream mixed``: half of each.

``python -P -m bench.chaos [--stream inference] [--jobs 20000] [--minutes 10] [--long] [--database postgresql]
[--plain-celery]``
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.chaos.celery_side import CelerySide
from bench.chaos.engagement import Orders, engage
from bench.chaos.faults import FAULTS
from bench.chaos.report import print_findings, print_table
from bench.chaos.side import Side
from bench.chaos.stand import Stand
from bench.chaos.streams import STREAMS
from bench.chaos.turnout_side import TurnoutSide
from bench.machine import machine

_LONG = (1_000_000, 240.0)


def main() -> int:
    arguments = _arguments()
    jobs, minutes = _LONG if arguments.long else (arguments.jobs, arguments.minutes)
    orders = Orders(
        jobs=jobs,
        seconds=minutes * 60,
        seed=arguments.seed,
        postgres=arguments.database == "postgresql",
        drain_seconds=arguments.drain,
        faults=arguments.fault,
        eaters=not arguments.no_eaters,
        stream=arguments.stream,
    )
    sides: list[Callable[[Stand], Side]] = [TurnoutSide, *([CelerySide] if arguments.plain_celery else [])]
    outcomes = []
    for side in sides:
        with tempfile.TemporaryDirectory(prefix="turnout-chaos-") as directory:
            outcomes.append(engage(side, orders, Path(directory)))
    print(machine())
    print(f"{arguments.stream} stream, {arguments.database}, {jobs} jobs in {minutes:g} min, seed {orders.seed}")
    print_table(outcomes)
    for outcome in outcomes:
        print_findings(outcome)
    # Celery's column is for comparison.
    return 0 if outcomes[0].reckoning.is_clean else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stream", choices=STREAMS, default="exclusive", help="which jobs (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=10, help="over which they are submitted and faults done")
    parser.add_argument("--long", action="store_true", help="a million jobs in four hours")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--plain-celery", action="store_true", help="the same for Celery as people set it up")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--drain", type=float, default=120, help="seconds without any end before the rest is given up")
    parser.add_argument("--no-eaters", action="store_true", help="no jobs that take more memory than they may have")
    names = [fault.name for fault in FAULTS]
    parser.add_argument("--fault", action="append", default=[], choices=names, help="only these, in this order")
    arguments = parser.parse_args()
    if arguments.plain_celery and arguments.stream != "exclusive":
        parser.error("plain Celery has no jobs that share a process; leave --plain-celery or --stream out")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
