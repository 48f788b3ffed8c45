"""Which jobs are submitted, in which order, and which of them are cancelled."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from bench.chaos.fates import EATER, USUAL, Fate

# Three leases.
LONG_SECONDS = 30.0
_FILE_BYTES = 100_000
RUNNER_MEMORY_BYTES = 256 << 20
Spec = Mapping[str, JsonValue]


@dataclass(frozen=True)
class Planned:
    """A job to come. ``cancel_after`` are the seconds from its acceptance to the request to cancel it; ``fate`` is how
    it has to come out else."""

    entry: str
    kind: str
    spec: Spec
    cancel_after: float | None = None
    fate: Fate = USUAL

    def document(self, ledger: str) -> dict[str, object]:
        """Its spec, whole."""
        return {**self.spec, "ledger": ledger, "entry": self.entry}


@dataclass(frozen=True)
class Shape:
    """A job to come, as long as it has no place in the stream."""

    kind: str
    spec: Spec
    cancel_after: float | None = None
    fate: Fate = USUAL


def in_line(shapes: Sequence[Shape], dice: random.Random) -> Sequence[Planned]:
    """In an order of chance."""
    shuffled = list(shapes)
    dice.shuffle(shuffled)
    return [Planned(f"e{n}", one.kind, one.spec, one.cancel_after, one.fate) for n, one in enumerate(shuffled)]


def plan(
    jobs: int,
    seed: int,
    *,
    eaters: bool = True,
    long_seconds: float = LONG_SECONDS,
    memory_bytes: int = RUNNER_MEMORY_BYTES,
) -> Sequence[Planned]:
    """98.9 % short, 1 % of a second, 0.1 % of thirty seconds. Among the short ones are those that save a file; among
    the longer ones those that start children, spin in C and hold the interpreter. ``eaters`` take
    more memory than a runner may have (``memory_bytes``), each time. ``long_seconds``: how long the longest take."""
    dice = random.Random(seed)  # noqa: S311 - a plan that can be repeated
    shapes = shapes_of(jobs, dice, eaters=eaters, long_seconds=long_seconds, memory_bytes=memory_bytes)
    return in_line(shapes, dice)[:jobs]


def shapes_of(
    jobs: int, dice: random.Random, *, eaters: bool, long_seconds: float, memory_bytes: int
) -> Sequence[Shape]:
    """As ``plan``, in no order."""
    shapes: list[Shape] = []
    for _ in range(max(1, jobs // 1000)):
        shapes.append(Shape("take_nap", {"seconds": long_seconds}, dice.choice([None, None, 2.0])))
    for _ in range(max(1, jobs // 5000)):
        shapes.append(Shape("hold_interpreter", {"seconds": long_seconds}, dice.choice([None, None, None, 1.0])))
    for _ in range(max(1, jobs // 2000)):
        shapes.append(Shape("spin_natively", {"seconds": 2.0}, None))
    for _ in range(max(2, jobs // 1000)):
        shapes.append(Shape("start_children", {"seconds": 1.0}, None))
    for _ in range(max(2, jobs // 130)):
        shapes.append(Shape("take_nap", {"seconds": 1.0}, dice.choice([None] * 5 + [0.3])))
    for _ in range(max(2, jobs // 200)):
        shapes.append(Shape("keep_file", {"size_bytes": _FILE_BYTES}, None))
    if eaters:
        for _ in range(max(1, jobs // 5000)):
            shapes.append(Shape("eat_memory", {"size_bytes": 2 * memory_bytes, "seconds": 1.0}, None, EATER))
    while len(shapes) < jobs:
        shapes.append(Shape("take_nap", {"seconds": 0.01}, 0.0 if dice.random() < 0.002 else None))
    return shapes
