"""What is wanted of the columns, and what they reached."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.inference_parts.measured import Measured, percentile

Findings = Mapping[str, Sequence[Measured]]

WANTED_LARGE, WANTED_SINGLE = 0.9, 0.6
# From here on the single jobs' own cost is asked for no share of the library's rate.
FAST_PER_SECOND = 200.0
_OURS, _OTHERS = ("b", "c"), ("d", "d256", "e")
_TIMES_OWN, _PLUS_MILLIS = 1.2, 20.0


@dataclass(frozen=True)
class Goal:
    """``reached`` is None where nothing was asked."""

    what: str
    wanted: str
    got: str
    reached: bool | None


def goals(found: Findings) -> list[Goal]:
    """One for each that the measured columns say something about."""
    return [*_shares(found), *_comparisons(found), *_latency(found), *_second_use(found)]


def rate(found: Findings, column: str) -> float:
    """Inputs a second, the median of the rounds."""
    return statistics.median(measured.per_second for measured in found[column])


def _shares(found: Findings) -> Iterator[Goal]:
    for column, base, share in (("b", "a", WANTED_LARGE), ("c", "a", WANTED_SINGLE), ("g", "f", WANTED_LARGE)):
        if column not in found or base not in found:
            continue
        got = rate(found, column) / rate(found, base)
        is_asked = column != "c" or rate(found, base) < FAST_PER_SECOND
        where = f" where {base} is under {FAST_PER_SECOND:g}/s" if column == "c" else ""
        wanted = f"at least {share:.0%}{where}"
        told = f"{got:.1%}" if is_asked else f"{got:.1%}; {base} is {rate(found, base):.0f}/s, longer texts slow it"
        yield Goal(f"{column} of {base}", wanted, told, got >= share if is_asked else None)


def _comparisons(found: Findings) -> Iterator[Goal]:
    """Single jobs are compared with what also gets one input at a time."""
    for ours in _OURS:
        for other in _OTHERS:
            if ours in found and other in found and (ours, other) != ("c", "d256"):
                got = rate(found, ours) / rate(found, other)
                yield Goal(f"{ours} to {other}", "more than 1", f"{got:.2f} times", got > 1)


def _latency(found: Findings) -> Iterator[Goal]:
    if "latency" not in found:
        return
    rounds = [
        (percentile(one.millis, 0.95), _TIMES_OWN * one.figures["own_ms"] + _PLUS_MILLIS) for one in found["latency"]
    ]
    p95, most = (statistics.median(values) for values in zip(*rounds, strict=True))
    wanted = f"at most {_TIMES_OWN:g} of the model's own time + {_PLUS_MILLIS:g} ms = {most:.1f} ms"
    yield Goal("p95 of single jobs at half load", wanted, f"{p95:.1f} ms", p95 <= most)


def _second_use(found: Findings) -> Iterator[Goal]:
    if "loads" not in found:
        return
    figures = [one.figures for one in found["loads"]]
    first, second = (
        statistics.median(one[f"{which}_load_seconds"] for one in figures) for which in ("first", "second")
    )
    is_hit = all(one["second_loads"] == 0 and one["second_hits"] == 1 for one in figures)
    is_once = all(one["loads"] <= one["runners"] for one in figures)
    got = f"{second:.4f} s after {first:.2f} s for the first"
    yield Goal("what a model's second use loads", "nothing", got if is_hit else f"{got}: loaded again", is_hit)
    most = max(figures, key=lambda one: one["loads"])
    told = f"{most['loads']:g} loads by {most['runners']:g} runners in {most['jobs']:g} jobs"
    yield Goal("loads of all jobs", "one a runner", told, is_once)
