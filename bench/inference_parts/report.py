"""The tables of ``bench.inference``."""

import statistics

from bench.inference_parts.goals import Findings, Goal, rate
from bench.inference_parts.measured import Measured, percentile

_BASES = {"f": "f", "g": "f"}
_VERDICTS = {True: "reached", False: "MISSED", None: "not asked"}


def told(measured: Measured) -> str:
    """One measurement in one line."""
    parts = [f"{measured.per_second:8.1f} inputs/s"] if measured.per_second else []
    if measured.millis:
        p50, p95 = (percentile(measured.millis, share) for share in (0.5, 0.95))
        parts.append(f"p50 {p50:.0f} ms, p95 {p95:.0f} ms")
    return "   ".join([*parts, measured.how]).rstrip()


def print_columns(found: Findings) -> None:
    """Medians over the rounds, and what the inputs cost each process."""
    print(f"{'median':<8} {'inputs/s':>9}  {'(least to most)':<20} {'share':<10} {'p50 ms':>7} {'p95 ms':>7}")
    for column in sorted(found):
        rates = [one.per_second for one in found[column]]
        if not any(rates):
            continue
        base = _BASES.get(column, "a")
        share = f"{rate(found, column) / rate(found, base):.1%} of {base}" if base in found else ""
        millis = [value for one in found[column] for value in one.millis]
        latencies = "".join(f" {percentile(millis, part):7.1f}" for part in (0.5, 0.95)) if millis else ""
        spread = f"({min(rates):.1f} to {max(rates):.1f})"
        print(f"{column:<8} {rate(found, column):9.1f}  {spread:<20} {share:<10}{latencies}")
    _print_costs(found)


def print_goals(reckoned: list[Goal]) -> None:
    """Each with what was wanted and what came of it."""
    if not reckoned:
        return
    rows = [("measure", "wanted", "got", ""), *((g.what, g.wanted, g.got, _VERDICTS[g.reached]) for g in reckoned)]
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    print()
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)), row[3]]).rstrip())


def _print_costs(found: Findings) -> None:
    names = list(dict.fromkeys(name for runs in found.values() for one in runs for name in one.cpu_ms))
    if not names:
        return
    print(f"\n{'CPU-ms an input':<16}" + "".join(f"{name:>10}" for name in [*names, "all"]))
    for column in sorted(found):
        if not any(one.cpu_ms for one in found[column]):
            continue
        costs = [statistics.median(one.cpu_ms.get(name, 0.0) for one in found[column]) for name in names]
        cells = [f"{cost:10.3f}" if cost else f"{'-':>10}" for cost in costs]
        # The clients are the benchmark's own.
        whole = sum(cost for name, cost in zip(names, costs, strict=True) if name != "clients")
        print(f"{column:<16}" + "".join(cells) + f"{whole:10.3f}")
