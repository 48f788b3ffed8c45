"""The table: one column for each side."""

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from bench.chaos.engagement import Outcome
from bench.chaos.reckoning import Reckoning

_MOST_SHOWN = 20


def print_table(outcomes: Sequence[Outcome]) -> None:
    rows = _rows(outcomes)
    width = max(len(row[0]) for row in rows)
    columns = [max(len(row[i + 1]) for row in rows) for i in range(len(outcomes))]
    for name, *cells in rows:
        print(
            f"| {name:<{width}} | " + " | ".join(f"{cell:>{w}}" for cell, w in zip(cells, columns, strict=True)) + " |"
        )
        if name == "":
            print(f"|{'-' * (width + 2)}|" + "|".join("-" * (w + 1) + ":" for w in columns) + "|")


def print_findings(outcome: Outcome) -> None:
    """What is wrong, one line each."""
    found = outcome.reckoning
    lists: Mapping[str, Sequence[object]] = {
        "lost": found.lost,
        "not back": found.waiting,
        "committed twice": found.twice,
        "extra run of nobody's fault": found.unexplained,
        "contradiction": found.contradictions,
        "trouble": found.trouble,
    }
    for name, rows in lists.items():
        for row in rows[:_MOST_SHOWN]:
            print(f"{outcome.side}: {name}: {row}")
        if len(rows) > _MOST_SHOWN:
            print(f"{outcome.side}: {name}: and {len(rows) - _MOST_SHOWN} more")


def _rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    def row(name: str, cell: Callable[[Outcome], object]) -> list[str]:
        return [name, *(str(cell(outcome)) for outcome in outcomes)]

    def of(name: str, cell: Callable[[Reckoning], object]) -> list[str]:
        return row(name, lambda outcome: cell(outcome.reckoning))

    shares = any(outcome.reckoning.in_company for outcome in outcomes)
    return [
        ["", *(outcome.side for outcome in outcomes)],
        row("seconds", lambda outcome: f"{outcome.stream_seconds:.0f}"),
        of("SIGKILLs", lambda found: found.kills),
        of("accepted", lambda found: found.accepted),
        of("run", lambda found: found.jobs_run),
        of("committed", lambda found: found.committed.total()),
        of("lost", lambda found: len(found.lost)),
        of("not back in time", lambda found: len(found.waiting)),
        of("committed twice", lambda found: len(found.twice)),
        of("contradictions", lambda found: len(found.contradictions)),
        *_counts(outcomes, "ended ", lambda found: found.committed),
        *([of("in a batch with other jobs", lambda found: found.in_company)] if shares else []),
        of("extra runs", lambda found: found.extra.total() + len(found.unexplained)),
        *_counts(outcomes, "  by ", lambda found: found.extra),
        of("  of nobody's fault", lambda found: len(found.unexplained)),
        of("cancel p50 / p99 / max", lambda found: _quantiles(found.to_cancelled)),
        *_times(outcomes, "to claimed", lambda found: found.to_claimed),
        *_times(outcomes, "to running", lambda found: found.to_running),
        *_times(outcomes, "to flowing", lambda found: found.to_flowing),
        *_counts(outcomes, "fault: ", lambda found: found.faults),
    ]


def _counts(outcomes: Sequence[Outcome], prefix: str, of: Callable[[Reckoning], Counter[str]]) -> list[list[str]]:
    names = sorted({name for outcome in outcomes for name in of(outcome.reckoning)})
    return [[prefix + name, *(str(of(outcome.reckoning)[name]) for outcome in outcomes)] for name in names]


def _times(
    outcomes: Sequence[Outcome], what: str, of: Callable[[Reckoning], Mapping[str, Sequence[float]]]
) -> list[list[str]]:
    names = sorted({name for outcome in outcomes for name in of(outcome.reckoning)})
    return [
        [f"{name} {what} p50 / p99 / max", *(_quantiles(of(outcome.reckoning).get(name, ())) for outcome in outcomes)]
        for name in names
    ]


def _quantiles(seconds: Sequence[float]) -> str:
    if not seconds:
        return "-"
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) - 1, round(0.99 * (len(ordered) - 1)))]
    return f"{statistics.median(ordered):.2f} / {high:.2f} / {ordered[-1]:.2f} s (n={len(ordered)})"
