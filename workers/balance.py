"""How jobs that wait are dealt out to the runners of one worker."""

import math
from collections.abc import Sequence


def fair_share(waiting: int, each: float, mine: float, others: Sequence[float]) -> int:
    """How many of ``waiting`` jobs, which bring about ``each`` inputs, one runner takes that has ``mine`` inputs, so
    that in the end all have about as many as ``others`` have then: who has more than that takes none. Rounded up, for
    somebody has to take the last one."""
    level = _level(waiting * each, [mine, *others])
    return min(waiting, max(0, math.ceil((level - mine) / each - 1e-9)))


def _level(amount: float, loads: Sequence[float]) -> float:
    """How high it stands everywhere, once the amount is poured over the lowest loads."""
    lowest = sorted(loads)
    for count, _load in enumerate(lowest, start=1):
        level = (amount + sum(lowest[:count])) / count
        if count == len(lowest) or level <= lowest[count]:
            return level
    raise ValueError("nobody is there to take anything")
