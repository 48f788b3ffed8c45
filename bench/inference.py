"""What Turnout's jobs cost against the libraries by themselves and against what people use instead, on a real model.

a        transformers in one process at its best batch size and number of threads, on input sorted by length = 100 %
b        Turnout: jobs of 256 inputs each, submitted together
c        Turnout: jobs of a single input from 64 clients at once, each waiting for its result
d        plain Celery: one call of transformers' pipeline a task, 64 clients; no HTTP before it, which is in its favour
d256     the same with a list of 256 inputs a task, submitted together
e        LitServe with its own batching, the best of several settings, 64 clients over HTTP
f        ONNX Runtime in one process at its best batch size and number of threads, on rows of one length
g        Turnout: predict_onnx, jobs of 256 rows each as NPY files
latency  Turnout: single jobs at random moments, half as many a second as c does, or the model alone with one text at a
         time, if that is less; against that model's own time, with as many threads. All texts have the mean length
loads    Turnout: what the first and the second use of a model load, and all others

``python -P -m bench.inference [--only a b c] [--words 15] [--inputs 4096] [--pairs 2]``, with PYTHONPATH=. Every round
begins with new processes, and each side is alone. Loading models and first batches do not count. Ends with 1 if a
measure is missed. Nothing else should run meanwhile.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from bench.inference_parts import celery_side, litserve_side, raw_side, turnout_side
from bench.inference_parts.goals import goals
from bench.inference_parts.measured import Measured, Plan
from bench.inference_parts.report import print_columns, print_goals, told
from bench.inference_parts.texts import LEAST_MEAN, MOST_MEAN
from bench.machine import machine
from bench.queue_parts.ground import SQLITE, Servers

_COLUMNS = sorted([*raw_side.COLUMNS, *turnout_side.COLUMNS, *celery_side.COLUMNS, *litserve_side.COLUMNS])
Side = Callable[[], Iterator[tuple[str, Measured]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=_COLUMNS, default=_COLUMNS, help="these columns (default all)")
    parser.add_argument("--inputs", type=int, default=4096, help="in each of a, b, f and g (default 4096)")
    parser.add_argument("--singles", type=int, default=1024, help="in each of c, d, d256 and e (default 1024)")
    parser.add_argument("--words", type=int, default=15, help="in a text, the mean (default 15)")
    parser.add_argument("--pairs", type=int, default=2, help="how often each column is measured (default 2)")
    parser.add_argument("--slots", type=int, help="of Turnout's worker (default one for each core)")
    arguments = parser.parse_args()
    plan = Plan(frozenset(arguments.only), arguments.inputs, arguments.singles, arguments.words, arguments.slots)
    if not LEAST_MEAN <= arguments.words <= MOST_MEAN:
        parser.error(f"--words has to be from {LEAST_MEAN} to {MOST_MEAN}")
    lacking = litserve_side.missing() if "e" in plan.only else None
    if lacking is not None:
        parser.error(lacking)
    found: dict[str, list[Measured]] = {}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="turnout-bench-")))
        servers = stack.enter_context(Servers(directory, [SQLITE]).running())
        sides = _sides(servers, directory / "models", plan)
        for number in range(arguments.pairs):
            # The first one changes, so that none always finds the machine as another left it.
            for side in sides if number % 2 == 0 else reversed(sides):
                for column, measured in side():
                    print(f"  {column:<8} {told(measured)}", flush=True)
                    found.setdefault(column, []).append(measured)
    print(f"\n{machine()}, texts of {plan.words} words on average\n")
    print_columns(found)
    reckoned = goals(found)
    print_goals(reckoned)
    return 1 if any(goal.reached is False for goal in reckoned) else 0


def _sides(servers: Servers, models: Path, plan: Plan) -> list[Side]:
    """Those of which something is to be measured."""
    turnout_side.place_models(models)
    litserve = litserve_side.LitServeSide(plan)
    offered: list[tuple[tuple[str, ...], Side]] = [
        (raw_side.COLUMNS, lambda: raw_side.measure_raw(turnout_side.onnx_path(models), plan)),
        (
            turnout_side.COLUMNS,
            lambda: turnout_side.TurnoutSide(servers.ground(SQLITE), models, plan).measure(),
        ),
        (celery_side.COLUMNS, lambda: celery_side.CelerySide(servers.ground(SQLITE), plan).measure()),
        (litserve_side.COLUMNS, lambda: litserve.measure(servers.ground(SQLITE))),
    ]
    return [side for columns, side in offered if plan.only & set(columns)]


if __name__ == "__main__":
    sys.exit(main())
