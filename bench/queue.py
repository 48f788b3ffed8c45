"""What Turnout's durable path costs, against Celery as people set it up, in one run and by turns.

a  bare Celery: no-op tasks on a threads pool, results ignored       } jobs that wait for a
b  Celery with a SQLAlchemy result backend on the same database      } warm worker
c  Turnout: a no-op kind through a real worker and real runners      }
d  submissions over HTTP with one API process: FastAPI with `delay()`, Turnout, and Turnout's bulk of 10,000
e  Turnout: from accepted to started on an idle worker
s  Turnout: what each stage of c and d costs, timed inside of the processes

``python -P -m bench.queue [--only c e] [--database sqlite] [--jobs 2000] [--pairs 3]``, with PYTHONPATH=. Every
measurement begins with an empty database and new processes. Nothing else should run meanwhile.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from bench.machine import free_ports, machine
from bench.queue_parts import celery_runs, turnout_runs
from bench.queue_parts.ground import POSTGRESQL, SQLITE, Run, Servers
from bench.queue_parts.http_load import Load
from bench.queue_parts.report import report

Measure = Callable[[], Run]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices="abcdes", default=list("abcdes"), help="these parts (default all)")
    parser.add_argument("--database", nargs="+", choices=[SQLITE, POSTGRESQL], default=[SQLITE, POSTGRESQL])
    parser.add_argument("--jobs", type=int, default=2000, help="in each of a, b and c (default 2000)")
    parser.add_argument("--submissions", type=int, default=4000, help="in d (default 4000)")
    parser.add_argument("--singles", type=int, default=300, help="jobs one by one in e (default 300)")
    parser.add_argument("--pairs", type=int, default=3, help="how often each part is measured (default 3)")
    parser.add_argument("--slots", type=int, default=2, help="of Turnout's worker (default 2)")
    parser.add_argument("--threads", type=int, default=16, help="of Celery's worker (default 16)")
    parser.add_argument("--clients", type=int, default=32, help="at once in d (default 32)")
    arguments = parser.parse_args()
    runs: dict[tuple[str, str], list[Run]] = {}
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="turnout-bench-"))
        servers = stack.enter_context(Servers(Path(directory), arguments.database).running())
        for number, database in itertools.product(range(arguments.pairs), arguments.database):
            measures = list(parts(servers, database, arguments))
            # The first one changes, so that none always finds the machine as another left it.
            for name, measure in measures if number % 2 == 0 else reversed(measures):
                run = measure()
                runs.setdefault((database, name), []).append(run)
                print(f"  {database:<10} {name:<24} {told(run)}", flush=True)
    print(f"\n{machine()}\n")
    return report(runs)


def parts(servers: Servers, database: str, arguments: argparse.Namespace) -> Iterator[tuple[str, Measure]]:
    """The measurements that were asked for, with their names."""
    ports = free_ports(6)
    body = b'{"kind":"do_nothing","spec":{}}'
    load = Load(ports[0], arguments.clients, arguments.submissions, body)
    jobs, slots, threads = arguments.jobs, arguments.slots, arguments.threads

    def turnout(port: int) -> turnout_runs.Turnout:
        return turnout_runs.Turnout(servers.ground(database), port)

    def plain(*, with_backend: bool) -> Run:
        return celery_runs.run_tasks(servers.ground(database), jobs, threads, with_backend=with_backend)

    offered: dict[str, dict[str, Measure]] = {
        "a": {"a bare Celery": lambda: plain(with_backend=False)},
        "b": {"b Celery with results": lambda: plain(with_backend=True)},
        "c": {"c Turnout": lambda: turnout_runs.run_jobs(turnout(ports[1]), jobs, slots)},
        "d": {
            "d FastAPI and delay()": lambda: celery_runs.run_submissions(servers.ground(database), load),
            "d Turnout, HTTP": lambda: turnout_runs.run_submissions(turnout(ports[2]), with_port(load, ports[2])),
            "d Turnout, bulk": lambda: turnout_runs.run_bulk(turnout(ports[3])),
        },
        "e": {
            "e Turnout, one by one": lambda: turnout_runs.run_one_by_one(turnout(ports[4]), arguments.singles, slots)
        },
    }
    offered["s"] = {
        "s stages": lambda: turnout_runs.run_stages(turnout(ports[5]), jobs, slots, with_port(load, ports[5]))
    }
    for part in arguments.only:
        yield from offered[part].items()


def with_port(load: Load, port: int) -> Load:
    return Load(port, load.clients, load.count, load.body)


def told(run: Run) -> str:
    medians = (f"{what} p50 {statistics.median(values):.1f} ms" for what, values in run.millis.items())
    rate = [f"{run.per_second:8.0f}/s"] if run.per_second else []
    return "  ".join([*rate, *medians])


if __name__ == "__main__":
    sys.exit(main())
