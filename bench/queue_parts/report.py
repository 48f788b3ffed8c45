"""The tables of ``bench/queue.py``, and whether what was wanted was reached."""

import statistics
from collections.abc import Mapping, Sequence

from bench.queue_parts.ground import Run

Runs = Mapping[tuple[str, str], Sequence[Run]]

BARE, RESULTS, OURS = "a bare Celery", "b Celery with results", "c Turnout"
PLAIN_HTTP, HTTP, BULK = "d FastAPI and delay()", "d Turnout, HTTP", "d Turnout, bulk"
ONE_BY_ONE = "e Turnout, one by one"
STAGES = "s stages"
WANTED_OF_BARE, WANTED_OF_RESULTS = 0.8, 5.0
WANTED_HTTP, WANTED_BULK = 2_000.0, 20_000.0
WANTED_P50_MS, WANTED_P99_MS = 10.0, 50.0


def report(runs: Runs) -> int:
    """Print everything; 1 if something that was measured misses what is wanted."""
    verdicts: list[bool] = []
    for database in dict.fromkeys(database for database, _name in runs):
        mine = {name: list(found) for (where, name), found in runs.items() if where == database}
        print(f"{database}: medians of {max(map(len, mine.values()))}")
        _rates(mine)
        _costs(mine)
        _stages(mine.get(STAGES, ()))
        verdicts += _verdicts(mine)
        print()
    return 0 if all(verdicts) else 1


def per_second(runs: Sequence[Run]) -> float:
    return statistics.median(run.per_second for run in runs)


def _rates(mine: Mapping[str, Sequence[Run]]) -> None:
    print(f"  {'':<24} {'per second':>10}   {'(least to most)':<18} over a  over b  over FastAPI")
    for name, runs in mine.items():
        if name in (ONE_BY_ONE, STAGES):
            continue
        rates = [run.per_second for run in runs]
        kind = (BARE, RESULTS) if name in (BARE, RESULTS, OURS) else (PLAIN_HTTP,)
        ratios = {base: per_second(runs) / per_second(mine[base]) for base in kind if base in mine}
        columns = "  ".join(
            f"{ratios[base]:6.2f}" if base in ratios else " " * 6 for base in (BARE, RESULTS, PLAIN_HTTP)
        )
        print(f"  {name:<24} {per_second(runs):10.0f}   ({min(rates):.0f} to {max(rates):.0f})".ljust(59) + columns)
    for name, runs in mine.items():
        for what, (p50, p99, most) in _latencies(runs).items():
            print(f"  {name:<24} {what:<9} p50 {p50:7.1f} ms   p99 {p99:7.1f} ms   max {most:7.1f} ms")


def _costs(mine: Mapping[str, Sequence[Run]]) -> None:
    names = list(dict.fromkeys(process for runs in mine.values() for run in runs for process in run.cpu_ms))
    print(f"\n  {'CPU-ms a job':<24} " + "".join(f"{name:>11}" for name in [*names, "all"]))
    for name, runs in mine.items():
        if name == STAGES:
            continue
        costs = {process: statistics.median(run.cpu_ms.get(process, 0) for run in runs) for process in names}
        # The clients are the benchmark's own.
        whole = sum(value for process, value in costs.items() if process != "clients")
        cells = [f"{costs[process]:11.3f}" if costs[process] else f"{'-':>11}" for process in names]
        print(f"  {name:<24} " + "".join(cells) + f"{whole:11.3f}")


def _stages(runs: Sequence[Run]) -> None:
    names = list(dict.fromkeys(name for run in runs for name in run.stages))
    if names:
        print(f"\n  {'stage, timed inside the process':<32} {'calls a job':>12} {'ms a job':>10} {'CPU-ms a job':>13}")
    for name in names:
        calls, wall, cpu = (
            statistics.median(run.stages[name][i] for run in runs if name in run.stages) for i in (0, 1, 2)
        )
        print(f"  {name:<32} {calls:12.3f} {wall:10.3f} {cpu:13.3f}")


def _latencies(runs: Sequence[Run]) -> dict[str, tuple[float, float, float]]:
    """Median, 99th percentile and maximum over all runs together."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for what, values in run.millis.items():
            found.setdefault(what, []).extend(values)
    return {
        what: (statistics.median(values), statistics.quantiles(values, n=100)[98], max(values))
        for what, values in found.items()
        if len(values) > 1
    }


def _verdicts(mine: Mapping[str, Sequence[Run]]) -> list[bool]:
    """One for each goal whose parts were measured."""
    goals: list[tuple[str, float, float]] = []
    if OURS in mine and BARE in mine:
        goals.append(("c over a", per_second(mine[OURS]) / per_second(mine[BARE]), WANTED_OF_BARE))
    if OURS in mine and RESULTS in mine:
        goals.append(("c over b", per_second(mine[OURS]) / per_second(mine[RESULTS]), WANTED_OF_RESULTS))
    goals += [(f"{name} a second", per_second(mine[name]), wanted) for name, wanted in _RATES if name in mine]
    lines = [(f"{name}: {found:.4g}, wanted at least {wanted:g}", found >= wanted) for name, found, wanted in goals]
    if ONE_BY_ONE in mine:
        p50, p99, _most = _latencies(mine[ONE_BY_ONE])["started"]
        lines.append((f"started p50: {p50:.1f} ms, wanted at most {WANTED_P50_MS:g}", p50 <= WANTED_P50_MS))
        lines.append((f"started p99: {p99:.1f} ms, wanted at most {WANTED_P99_MS:g}", p99 <= WANTED_P99_MS))
    if lines:
        print()
    for line, reached in lines:
        print(f"  {line}: {'reached' if reached else 'MISSED'}")
    return [reached for _line, reached in lines]


_RATES = ((HTTP, WANTED_HTTP), (BULK, WANTED_BULK))
