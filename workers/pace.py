"""How long the jobs of each kind take here: what tells whether several may be claimed at once."""

import threading
from collections.abc import Mapping, Sequence

from tasks.kind import Kind

# What is claimed together should be done in this time: so long a job may lie claimed while another slot is idle, and so
# long a result may wait to be committed together with others.
TOGETHER_SECONDS = 0.1
MOST_TOGETHER = 64
_SHORT_SECONDS = 0.05
_WEIGHT_OF_THE_LAST = 0.2


class Pace:
    """The moving average of the seconds that a worker's jobs took, by kind. Safe to use from several threads.

    Kinds that leave something to clean up are never short: their slot is needed for that.
    """

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds
        self._means: dict[str, float] = {}
        self._lock = threading.Lock()

    def note(self, kind: str, seconds: float) -> None:
        if self._kinds[kind].clean_up is not None:
            return
        with self._lock:
            mean = self._means.get(kind, seconds)
            self._means[kind] = mean + _WEIGHT_OF_THE_LAST * (seconds - mean)

    def short(self) -> Mapping[str, float]:
        """The kinds whose jobs are short, with the seconds that one is expected to take."""
        with self._lock:
            return {kind: mean for kind, mean in self._means.items() if mean <= _SHORT_SECONDS}


def as_many_as_fit(expected: Sequence[float]) -> int:
    """How many of the jobs that are expected to take so long, from the first on, are done in ``TOGETHER_SECONDS``."""
    total, count = 0.0, 0
    for seconds in expected[:MOST_TOGETHER]:
        total += seconds
        if total > TOGETHER_SECONDS and count:
            break
        count += 1
    return count
