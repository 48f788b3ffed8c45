"""The faults: each does its harm to a stand, puts right what a supervisor or a person would, and notes what it hit."""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import psutil
import redis

from bench.chaos.clock_shift import shifted
from bench.chaos.evidence import Harm
from bench.chaos.parts import Part, gone_or_not, wait_for
from bench.chaos.stand import Stand

# A worker that is stopped for so long has lost its lease of ten seconds, and another one has had time to notice.
_STOP_SECONDS = 13.0
_RESTART_SECONDS = 0.5
_STARTING_SECONDS = 6.0
# What a worker gets to end in order, as containers do by default.
_PATIENCE_SECONDS = 30.0
_CLOCK_MINUTES = 10
_T = TypeVar("_T")


@dataclass(frozen=True)
class Fault:
    """``seconds``: about how long it takes. ``share``: how often it is drawn in ten minutes. ``fits`` says whether this
    stand can be harmed so."""

    name: str
    do: Callable[[Stand, random.Random], None]
    seconds: float
    share: int
    fits: Callable[[Stand], bool] = lambda _stand: True


def run_fault(fault: Fault, stand: Stand, dice: random.Random) -> None:
    stand.watch_over()
    with suppress(NothingToHit):
        fault.do(stand, dice)


class NothingToHit(Exception):
    """There is no such process at the moment."""


@contextmanager
def _noted(
    stand: Stand, fault: str, pids: frozenset[int] = frozenset(), *, reason: str | None = None, kills: int = 0
) -> Iterator[None]:
    began = time.monotonic()
    yield
    stand.harms.append(Harm(fault, began, time.monotonic(), pids, reason, kills))


def _kill_runner(stand: Stand, dice: random.Random) -> None:
    """One with a job in hand, if there is one: most jobs are too short to be hit by chance."""
    stand.ledger.read()
    runners = [p for worker in stand.workers for p in worker.below() if stand.is_runner(p)]
    if not runners:
        raise NothingToHit
    busy = [process for process in runners if process.pid in stand.ledger.busy_pids()]
    victim = dice.choice(busy or runners)
    with _noted(stand, "SIGKILL runner", frozenset({victim.pid}), kills=1):
        with suppress(psutil.NoSuchProcess):
            victim.kill()
        gone_or_not([victim], 10)


def _kill_worker(stand: Stand, dice: random.Random) -> None:
    worker = dice.choice(stand.workers)
    with _noted(stand, "SIGKILL worker", stand.pids_of(worker), kills=1):
        worker.kill()
    _start_again(worker)


def _end_worker(stand: Stand, dice: random.Random) -> None:
    worker = dice.choice(stand.workers)
    # One that has just been started does not know yet that it should end in order.
    wait_for(lambda: worker.age > _STARTING_SECONDS, 60, "a worker that works")
    with _noted(stand, "SIGTERM worker", stand.pids_of(worker)):
        try:
            code: int | None = worker.end(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
            worker.kill()
        if code != 0:
            how = "did not end, and was killed" if code is None else f"ended with {code}"
            stand.trouble.append(f"{worker.name} {how} upon SIGTERM; the log's end: {stand.end_of_log()}")
    _start_again(worker)


def _stop_worker(stand: Stand, dice: random.Random) -> None:
    worker = dice.choice(stand.workers)
    with _noted(stand, "SIGSTOP worker", stand.pids_of(worker)):
        worker.stop()
        time.sleep(_STOP_SECONDS)
        worker.go_on()


def _kill_api(stand: Stand, _dice: random.Random) -> None:
    if stand.api is None:
        raise NothingToHit
    with _noted(stand, "SIGKILL API", kills=1):
        stand.api.kill()
        _start_again(stand.api)
        wait_for(stand.answers, 60, "the API's return")


def _kill_broker(stand: Stand, _dice: random.Random) -> None:
    with _noted(stand, "SIGKILL Redis", kills=1):
        stand.broker.kill()
        time.sleep(_RESTART_SECONDS)
        stand.broker.start()


def _flush_broker(stand: Stand, _dice: random.Random) -> None:
    with _noted(stand, "FLUSHALL"):
        client: redis.Redis = stand.broker.client()
        client.flushall()


def _kill_database(stand: Stand, _dice: random.Random) -> None:
    postgres = _there(stand.postgres)
    with _noted(stand, "SIGKILL PostgreSQL", kills=1):
        postgres.kill()
        time.sleep(_RESTART_SECONDS)
        postgres.start()


def _restart_database(stand: Stand, _dice: random.Random) -> None:
    """Again and again, every few seconds."""
    postgres = _there(stand.postgres)
    with _noted(stand, "PostgreSQL restarts", kills=3):
        for _ in range(3):
            postgres.kill()
            postgres.start()
            time.sleep(2)


def _freeze_database(stand: Stand, _dice: random.Random) -> None:
    """For longer than a lease."""
    with _noted(stand, "database stands still"):
        if stand.postgres is not None:
            stand.postgres.signal(signal.SIGSTOP)
            time.sleep(_STOP_SECONDS)
            stand.postgres.signal(signal.SIGCONT)
            return
        connection = stand.engine.raw_connection()
        try:
            connection.driver_connection.isolation_level = None  # type: ignore[union-attr]
            connection.cursor().execute("BEGIN IMMEDIATE")
            time.sleep(_STOP_SECONDS)
            connection.cursor().execute("ROLLBACK")
        finally:
            connection.invalidate()


def _half_open(stand: Stand, _dice: random.Random) -> None:
    with _noted(stand, "Redis half-open: silent"):
        stand.proxy.fall_silent()
        time.sleep(5)
        stand.proxy.admit()


def _deaf(stand: Stand, _dice: random.Random) -> None:
    with _noted(stand, "Redis half-open: deaf"):
        stand.proxy.fall_deaf()


def _half_closed(stand: Stand, _dice: random.Random) -> None:
    with _noted(stand, "Redis half-closed"):
        stand.proxy.close_half()


def _dropped(stand: Stand, _dice: random.Random) -> None:
    with _noted(stand, "Redis connections reset"):
        stand.proxy.drop()
        time.sleep(2)
        stand.proxy.admit()


def _fill_disk(stand: Stand, _dice: random.Random) -> None:
    disk = _there(stand.small_disk)
    with _noted(stand, "disk full", reason="storage_error"):
        disk.fill()
        time.sleep(3)
        disk.empty()


def _shift_clock(stand: Stand, dice: random.Random) -> None:
    """A worker comes back on a machine whose clock is off, works for longer than a lease, and is set right."""
    library = _there(stand.faketime)
    worker = dice.choice(stand.workers)
    right = dict(worker.environment)
    with _noted(stand, "worker's clock shifted", stand.pids_of(worker), kills=1):
        worker.kill()
    worker.environment |= shifted(library, dice.choice([-_CLOCK_MINUTES, _CLOCK_MINUTES]))
    worker.start()
    time.sleep(_STOP_SECONDS)
    with _noted(stand, "worker's clock shifted", stand.pids_of(worker), kills=1):
        worker.kill()
    worker.environment = right
    worker.start()


def _there(part: _T | None) -> _T:
    """Faults are only drawn for what is there."""
    if part is None:
        raise NothingToHit
    return part


def _start_again(part: Part) -> None:
    """After a pause, as a supervisor does."""
    time.sleep(_RESTART_SECONDS)
    part.start()


def _on_postgres(stand: Stand) -> bool:
    return stand.postgres is not None


FAULTS: Sequence[Fault] = (
    Fault("kill_runner", _kill_runner, 0.1, 20),
    Fault("kill_worker", _kill_worker, 0.8, 12),
    Fault("end_worker", _end_worker, 4, 3),
    Fault("stop_worker", _stop_worker, _STOP_SECONDS, 3),
    Fault("kill_api", _kill_api, 3, 6, fits=lambda stand: stand.api is not None),
    Fault("kill_redis", _kill_broker, 0.7, 6),
    Fault("flush_redis", _flush_broker, 0, 3),
    Fault("half_open", _half_open, 5, 2),
    Fault("deaf", _deaf, 0, 2),
    Fault("half_closed", _half_closed, 0, 2),
    Fault("reset", _dropped, 2, 2),
    Fault("kill_database", _kill_database, 2, 5, fits=_on_postgres),
    Fault("restart_database", _restart_database, 9, 2, fits=_on_postgres),
    Fault("freeze_database", _freeze_database, _STOP_SECONDS, 1),
    Fault("fill_disk", _fill_disk, 3, 2, fits=lambda stand: stand.small_disk is not None and stand.api is not None),
    Fault(
        "shift_clock",
        _shift_clock,
        _STOP_SECONDS + 1,
        2,
        fits=lambda stand: stand.faketime is not None and stand.postgres is not None,
    ),
)


def schedule(stand: Stand, dice: random.Random, rounds: float, names: Sequence[str] = ()) -> Sequence[Fault]:
    """The faults to come, in a shuffled order: each as often as its share, times ``rounds``; or those named. One that
    does not fit is left out; the others' order is the same on every stand."""
    if names:
        known = {fault.name: fault for fault in FAULTS}
        return [known[name] for name in names if known[name].fits(stand)]
    drawn = [fault for fault in FAULTS for _ in range(max(1, round(fault.share * rounds)))]
    dice.shuffle(drawn)
    return [fault for fault in drawn if fault.fits(stand)]
