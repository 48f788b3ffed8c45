"""A worker's own process: it takes hints, claims jobs, and watches over the runners that carry them out."""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import structlog
from celery.exceptions import Ignore
from sqlalchemy.exc import OperationalError

from db import workers as worker_rows
from db.claims import Claimant, Token
from db.engine import Database
from db.hints import unmark
from db.jobs import find
from db.settings import DatabaseSettings
from db.states import State
from db.store import Store
from tasks.hints import HintSender
from tasks.kind import Kind
from tasks.teller import Teller
from workers.cleaner import clean_up_one
from workers.execution import Workshop
from workers.janitor import Janitor
from workers.lease_keeper import LeaseKeeper
from workers.mirror import Announcer, mirror
from workers.pace import Pace
from workers.recorder import Recorder
from workers.refill import refill
from workers.retention import keep_forgetting
from workers.seeker import Seeker
from workers.settings import WorkerSettings
from workers.shared_streak import SharedStreak
from workers.slots import Slot, Slots
from workers.streak import Streak
from workers.tally import Desk

log = structlog.get_logger()

_SEAT_RETRY_SECONDS = 0.02


class Supervisor:
    """Everything that one worker process owns."""

    def __init__(
        self,
        *,
        settings: WorkerSettings,
        data: DatabaseSettings,
        database: Database,
        sender: HintSender,
        ends: Teller,
        kinds: Mapping[str, Kind],
        claimant: Claimant,
        queue: str,
        slots: Slots,
    ) -> None:
        self._database = database
        self._sender = sender
        self._kinds = kinds
        self._claimant = claimant
        self._queue = queue
        self._data = data
        self._slots = slots
        self._streaks: set[Streak | SharedStreak] = set()
        self._lock = threading.Lock()
        self._shutting_down = False
        store = Store(data.store_root)
        self._leases = LeaseKeeper(database, claimant.worker_id, slots.models)
        self._recorder = Recorder(database, on_fenced=self._leases.lost, on_refused=self._leases.unwritable)
        self._workshop = Workshop(database, store, self._recorder, self._leases, settings.grace)
        self._announcer = Announcer()
        self._ends = ends
        self._desk = Desk(
            shop=self._workshop,
            kinds=kinds,
            claimant=claimant,
            queue=queue,
            slots=len(slots),
            pace=Pace(kinds),
            announce=self._announcer.send,
            ended=self._ends.tell,
            released=self._refill,
            lost=self._run_again,
        )
        self._seeker = Seeker(database, queue, kinds, slots, self._run_unhinted)
        self._janitor = Janitor(
            database=database,
            sender=sender,
            queue=queue,
            kinds=kinds,
            clean_up=self._clean_up_idle,
        )

    def start(self) -> None:
        self._ends.start()
        self._slots.open()
        self._leases.start()
        self._recorder.start()
        self._janitor.start()
        self._seeker.start()
        keep_forgetting(self._database, self._workshop.store, self._data)

    def consuming(self, consumer: Any) -> None:
        """Celery's consumer is there, and hints come."""
        self._announcer.use(consumer)
        self._seeker.hints_come()

    def carry(self, task: Any, job_id: str) -> None:
        """The body of every Celery task: run the job that the hint names, if it is there to claim, and short ones after
        it.

        Celery's outcome mirrors the attempt's; a hint that claims nothing ends as ``Ignore``. One whose job shares a
        runner returns as soon as that one's thread has it.
        """
        if self._is_shared(task.name):
            self._place(job_id)
            return
        slot = self._slots.take()
        if slot is None:
            self._drop_hint(job_id)
            raise Ignore
        try:
            state = self._run_from(slot, job_id, hinted=True)
        except OperationalError as exc:
            # The hint is spent; the janitor finds its mark stale once the database is back.
            log.warning("hint_not_carried", job_id=job_id)
            raise Ignore from exc
        mirror(task, state)

    def wake(self, job_ids: Collection[str]) -> None:
        """Look soon at what is asked of these jobs, where they run here. Returns at once."""
        self._leases.wake(job_ids)

    def shut_down(self) -> None:
        """Take no more jobs; let those that run end within the grace period, then hand them back."""
        self._slots.end_handing_out()
        with self._lock:
            self._shutting_down = True
            streaks = list(self._streaks)
        for streak in streaks:
            streak.shut_down()

    def is_at_rest(self) -> bool:
        """Whether no job runs here, and nothing of one is left to be written down."""
        with self._lock:
            return not self._streaks

    def unfinished(self) -> Collection[Token]:
        """The attempts whose ends are not written down yet."""
        return self._leases.held()

    def close(self) -> None:
        """The last step, when no job runs any more. To a database that is away the worker will look lost."""
        self._slots.close()
        self._ends.close()
        try:
            with self._database.write() as session:
                worker_rows.stopped(session, self._claimant.worker_id)
        except OperationalError:
            log.warning("goodbye_not_written")

    def _is_shared(self, kind: str | None) -> bool:
        return kind is not None and kind in self._kinds and self._kinds[kind].shared

    def _place(self, job_id: str) -> None:
        """Have a job of a shared kind run where one has just ended, else in an idle slot, else beside others; waits
        for a seat."""
        while not self._shutting_down:
            if any(streak.invite(job_id) for streak in self._shared() if not streak.load):
                return
            slot = self._slots.take_idle()
            if slot is not None:
                threading.Thread(target=self._run_shared, args=(slot, job_id), name="share", daemon=True).start()
                return
            if any(streak.invite(job_id) for streak in sorted(self._shared(), key=lambda streak: streak.load)):
                return
            time.sleep(_SEAT_RETRY_SECONDS)
        self._drop_hint(job_id)

    def _run_shared(self, slot: Slot, job_id: str) -> None:
        """Begin with this job and give the slot back."""
        streak = SharedStreak(self._desk, slot, self._slots, job_id, self._shared)
        try:
            if self._enter(streak):
                streak.run()
            else:
                self._drop_hint(job_id)
        finally:
            with self._lock:
                self._streaks.discard(streak)
            self._slots.give_back(slot)
            self._refill()

    def _shared(self) -> Sequence[SharedStreak]:
        with self._lock:
            return [streak for streak in self._streaks if isinstance(streak, SharedStreak)]

    def _run_unhinted(self, slot: Slot, job_id: str) -> None:
        """Raises ``OperationalError``; then the slot is given back, too."""
        try:
            with self._database.read() as session:
                job = find(session, job_id, owner_id=None)
        except OperationalError:
            self._slots.give_back(slot)
            raise
        if self._is_shared(None if job is None else job.kind):
            self._run_shared(slot, job_id)
        else:
            self._run_from(slot, job_id, hinted=False)

    def _run_again(self, job_id: str) -> None:
        self._seeker.run_again(job_id)

    def _run_from(self, slot: Slot, job_id: str, *, hinted: bool) -> State | None:
        """Begin with this job and give the slot back. Raises ``OperationalError``."""
        try:
            return self._run_streak(slot, job_id, hinted=hinted)
        finally:
            self._slots.give_back(slot)
            self._refill()

    def _run_streak(self, slot: Slot, job_id: str, *, hinted: bool) -> State | None:
        streak = Streak(self._desk, slot)
        if not self._enter(streak):
            if hinted:
                self._drop_hint(job_id)
            return None
        try:
            state = streak.run(job_id, hinted=hinted)
        finally:
            with self._lock:
                self._streaks.discard(streak)
        if streak.leaves_something:
            self._clean_up_in(slot)
        return state

    def _enter(self, streak: Streak | SharedStreak) -> bool:
        """Whether it may begin: not when the worker shuts down."""
        with self._lock:
            if not self._shutting_down:
                self._streaks.add(streak)
            return not self._shutting_down

    def _drop_hint(self, job_id: str) -> None:
        """Let another worker have the hint that this one took and won't use."""
        try:
            with self._database.write() as session:
                unmark(session, [job_id])
        except OperationalError:
            log.warning("hint_not_given_back", job_id=job_id)

    def _clean_up_in(self, slot: Slot) -> None:
        if slot.runner.is_alive():
            clean_up_one(self._database, self._kinds, self._queue, slot)

    def _clean_up_idle(self) -> None:
        """The janitor's share: what jobs left that ended without a runner."""
        slot = self._slots.take_idle()
        if slot is None:
            return
        try:
            while slot.runner.is_alive() and clean_up_one(self._database, self._kinds, self._queue, slot):
                pass
        finally:
            self._slots.give_back(slot)

    def _refill(self) -> None:
        try:
            refill(self._database, self._sender, self._queue)
        except OperationalError:
            log.warning("not_refilled", queue=self._queue)
