"""One side under fire, from its start to its reckoning."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.chaos.faults import Fault, run_fault, schedule
from bench.chaos.reckoning import Reckoning, reckon
from bench.chaos.side import Side
from bench.chaos.stand import Stand, servers
from bench.chaos.stream import LONG_SECONDS
from bench.chaos.streams import STREAMS, Length
from bench.chaos.witness import count_ended


@dataclass(frozen=True)
class Orders:
    """How much of which stream, how long, on what. ``drain_seconds``: how long nothing may come to its end before what
    is still missing counts as not back. ``faults`` names them one by one; without it each comes as often as its
    share."""

    jobs: int
    seconds: float
    seed: int
    postgres: bool
    drain_seconds: float = 120.0
    faults: Sequence[str] = ()
    eaters: bool = True
    long_seconds: float = LONG_SECONDS
    stream: str = "exclusive"


@dataclass(frozen=True)
class Outcome:
    """``stream_seconds``: from the first submission to the last end."""

    side: str
    reckoning: Reckoning
    stream_seconds: float


def engage(side_of: Callable[[Stand], Side], orders: Orders, directory: Path) -> Outcome:
    with servers(directory, STREAMS[orders.stream].needs, postgres=orders.postgres) as stand:
        return _fight(side_of(stand), stand, orders)


def _fight(side: Side, stand: Stand, orders: Orders) -> Outcome:
    dice = random.Random(orders.seed)  # noqa: S311 - a run that can be repeated
    faults = schedule(stand, dice, orders.seconds / 600, orders.faults)
    length = Length(orders.jobs, orders.seed, orders.eaters, orders.long_seconds)
    stream = STREAMS[orders.stream].plan(length)
    side.start()
    began = time.monotonic()
    side.submit(stream, orders.seconds)
    _rage(stand, faults, dice, began + orders.seconds)
    last_end = _drain(side, stand, orders.drain_seconds)
    stand.watch_over()
    reckoning = reckon(side.end())
    return Outcome(side.name, reckoning, last_end - began)


def _rage(stand: Stand, faults: Sequence[Fault], dice: random.Random, until: float) -> None:
    """All faults, spread over the time that is left."""
    left = sum(fault.seconds for fault in faults)
    for number, fault in enumerate(faults):
        pause = (until - time.monotonic() - left) / (len(faults) - number)
        time.sleep(max(0.2, pause))
        run_fault(fault, stand, dice)
        left -= fault.seconds


def _drain(side: Side, stand: Stand, patience_seconds: float) -> float:
    """Wait until everything is back, or nothing comes back any more; returns the moment of the last end."""
    ended, last_end = -1, time.monotonic()
    while True:
        stand.watch_over()
        with stand.engine.connect() as connection:
            now_ended = count_ended(connection)
        if now_ended > ended:
            ended, last_end = now_ended, time.monotonic()
        if side.is_done() or time.monotonic() - last_end > patience_seconds:
            return last_end
        time.sleep(0.2)
