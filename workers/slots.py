"""The slots of a worker: each has one runner process, which is replaced when it dies."""

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from workers.runner_process import RunnerProcess, RunnerSetting

log = structlog.get_logger()

_PAUSES_SECONDS = (0.2, 0.5, 1, 2, 5, 10)


@dataclass(eq=False)
class Slot:
    """Room for one job at a time."""

    setting: RunnerSetting
    process: RunnerProcess | None = None
    taken: bool = False
    was_ready: bool = False
    deaths_in_a_row: int = 0

    @property
    def runner(self) -> RunnerProcess:
        if self.process is None:
            raise RuntimeError("the slot has no runner at present")
        return self.process


class Slots:
    """Hands out slots whose runner is ready, and keeps one runner alive in each."""

    def __init__(self, settings: Sequence[RunnerSetting]) -> None:
        self._all = [Slot(setting) for setting in settings]
        # The one that was used last at the end: what the next job needs may be loaded there.
        self._idle: list[Slot] = []
        self._changed = threading.Condition()
        self._to_start: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        self._closing = False
        self._handing_out_ended = False
        self._first, self._waiting = 0, 0
        # One thread starts all runners and lives as long as the worker, since each runner dies with its thread.
        self._starter = threading.Thread(target=self._start_runners, name="start-runners", daemon=True)

    def open(self) -> None:
        self._starter.start()
        for slot in self._all:
            self._to_start.put(slot)

    def __len__(self) -> int:
        return len(self._all)

    def take(self) -> Slot | None:
        """A ready slot, as soon as there is one; None when the worker shuts down."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: len(self._idle) > self._first or self._handing_out_ended)
            self._waiting -= 1
            return self._pick()

    def line_up_first(self) -> None:
        """Announce a ``take_first``: from now on ``take`` leaves it the next slot."""
        with self._changed:
            self._first += 1

    def take_first(self) -> Slot | None:
        """As ``take``, for somebody who lined up, before all who wait there."""
        with self._changed:
            self._changed.wait_for(lambda: self._idle or self._handing_out_ended)
            self._first -= 1
            # What else is idle may have been kept for this caller.
            self._changed.notify_all()
            return self._pick()

    def take_idle(self) -> Slot | None:
        """A ready slot, if there is one right now that nobody waits for."""
        with self._changed:
            return self._pick() if self._spare() > 0 else None

    def count_idle(self) -> int:
        """How many ready slots there are right now that nobody waits for."""
        with self._changed:
            return 0 if self._handing_out_ended else max(0, self._spare())

    def is_wanted(self) -> bool:
        """Whether somebody waits for a slot that is not there."""
        return self._first + self._waiting > len(self._idle)

    def models(self) -> Sequence[Mapping[str, Any]]:
        """What the runners keep loaded."""
        processes = [slot.process for slot in self._all]
        return [model for process in processes if process is not None for model in process.models]

    def give_back(self, slot: Slot) -> None:
        with self._changed:
            slot.taken = False
            if slot.runner.takes_jobs():
                self._idle.append(slot)
                self._changed.notify_all()
            else:
                slot.runner.kill()
                self._replace(slot)

    def end_handing_out(self) -> None:
        """From now on nobody gets a slot, whoever waits for one either; what runs goes on."""
        with self._changed:
            self._handing_out_ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Kill every runner."""
        self.end_handing_out()
        with self._changed:
            self._closing = True
        for slot in self._all:
            if slot.process is not None:
                slot.process.kill()

    def _spare(self) -> int:
        return len(self._idle) - self._first - self._waiting

    def _pick(self) -> Slot | None:
        if self._handing_out_ended or not self._idle:
            return None
        slot = self._idle.pop()
        slot.taken = True
        return slot

    def _replace(self, slot: Slot) -> None:
        """Have a new runner started; from here on nobody hears of the old one."""
        if slot in self._idle:
            self._idle.remove(slot)
        slot.process = None
        self._to_start.put(slot)

    def _start_runners(self) -> None:
        while not self._closing:
            slot = self._to_start.get()
            if slot.deaths_in_a_row:
                time.sleep(_PAUSES_SECONDS[min(slot.deaths_in_a_row, len(_PAUSES_SECONDS)) - 1])
            with self._changed:
                slot.was_ready = False
                slot.process = RunnerProcess(
                    slot.setting, on_ready=partial(self._ready, slot), on_death=partial(self._dead, slot)
                )

    def _ready(self, slot: Slot, process: RunnerProcess) -> None:
        with self._changed:
            slot.was_ready = True
            slot.deaths_in_a_row = 0
            self._idle.insert(0, slot)
            self._changed.notify_all()
        log.info("runner_ready", slot=slot.setting.name, pid=process.pid)

    def _dead(self, slot: Slot, process: RunnerProcess) -> None:
        with self._changed:
            if self._closing or slot.process is not process:
                return
            if not slot.was_ready:
                slot.deaths_in_a_row += 1
            # While a job has the slot, it learns of the death by itself and gives the slot back.
            if not slot.taken:
                self._replace(slot)
        log.warning("runner_died", slot=slot.setting.name, how=process.how_it_ended())
