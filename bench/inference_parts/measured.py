"""What is to be measured, and what was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Plan:
    """Which columns, and how much goes through each: ``inputs`` in those that get many at once, ``singles`` in those
    that get one at a time. ``words`` is the mean length of a text."""

    only: frozenset[str]
    inputs: int
    singles: int
    words: int
    slots: int | None = None


@dataclass(frozen=True)
class Measured:
    """One measurement. ``how`` is for people; ``millis`` are the latencies of single inputs, ``cpu_ms`` processor time
    for an input by process (``clients`` are the benchmark's own), ``figures`` what else a goal needs."""

    per_second: float
    how: str = ""
    millis: Sequence[float] = ()
    cpu_ms: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that this share of them does not exceed."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]
