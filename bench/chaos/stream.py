"""Which jobs are submitted, in which order, and which of them are cancelled."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Three leases.
LONG_SECONDS = 30.0
_FILE_BYTES = 100_000
RUNNER_MEMORY_BYTES = 256 << 20
_EATEN_BYTES = 2 * RUNNER_MEMORY_BYTES


@dataclass(frozen=True)
class Planned:
    """A job to come. ``cancel_after`` are the seconds from its acceptance to the request to cancel it."""

    entry: str
    kind: str
    spec: Mapping[str, float]
    cancel_after: float | None = None

    def document(self, ledger: str) -> dict[str, object]:
        """Its spec, whole."""
        return {**self.spec, "ledger": ledger, "entry": self.entry}


def plan(jobs: int, seed: int, *, eaters: bool = True, long_seconds: float = LONG_SECONDS) -> Sequence[Planned]:
    """98.9 % short, 1 % of a second, 0.1 % of thirty seconds. Among the short ones are those that save a file; among
    the longer ones those that start children, spin in C and hold the interpreter. ``eaters`` take
    more memory than a runner may have, each time. ``long_seconds``: how long the longest take."""
    dice = random.Random(seed)  # noqa: S311 - a plan that can be repeated
    shapes: list[tuple[str, Mapping[str, float], float | None]] = []
    for _ in range(max(1, jobs // 1000)):
        shapes.append(("take_nap", {"seconds": long_seconds}, dice.choice([None, None, 2.0])))
    for _ in range(max(1, jobs // 5000)):
        shapes.append(("hold_interpreter", {"seconds": long_seconds}, dice.choice([None, None, None, 1.0])))
    for _ in range(max(1, jobs // 2000)):
        shapes.append(("spin_natively", {"seconds": 2.0}, None))
    for _ in range(max(2, jobs // 1000)):
        shapes.append(("start_children", {"seconds": 1.0}, None))
    for _ in range(max(2, jobs // 130)):
        shapes.append(("take_nap", {"seconds": 1.0}, dice.choice([None] * 5 + [0.3])))
    for _ in range(max(2, jobs // 200)):
        shapes.append(("keep_file", {"size_bytes": _FILE_BYTES}, None))
    if eaters:
        for _ in range(max(1, jobs // 5000)):
            shapes.append(("eat_memory", {"size_bytes": _EATEN_BYTES, "seconds": 1.0}, None))
    while len(shapes) < jobs:
        shapes.append(("take_nap", {"seconds": 0.01}, 0.0 if dice.random() < 0.002 else None))
    dice.shuffle(shapes)
    return [Planned(f"e{number}", *shape) for number, shape in enumerate(shapes[:jobs])]
