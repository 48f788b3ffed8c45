"""Work that no hint brings. The broker only makes things quick: while it is away, or has lost a hint, an idle slot
finds the queue's next jobs in SQL."""

import random
import threading
import time
from collections.abc import Callable, Collection
from datetime import timedelta

import structlog
from sqlalchemy.exc import OperationalError

from db.engine import Database
from db.overdue import overdue
from workers.slots import Slot, Slots

log = structlog.get_logger()

_EVERY_SECONDS = 0.5
# A hint reaches an idle slot within milliseconds, unless the machine is very busy.
_OVERDUE_AFTER = timedelta(seconds=2)
# A worker that just starts has not heard the hints that lie at the broker; if there is none, it does not wait for ever.
_LONGEST_START_SECONDS = 5.0


class Seeker:
    """Runs jobs in threads of its own, as Celery's threads do with those that a hint names."""

    def __init__(
        self,
        database: Database,
        queue: str,
        kinds: Collection[str],
        slots: Slots,
        run: Callable[[Slot, str], object],
    ) -> None:
        """``run`` begins with the job, if it is still there to claim, and gives the slot back."""
        self._database = database
        self._queue = queue
        self._kinds = kinds
        self._slots = slots
        self._run = run
        self._woken = threading.Event()
        self._hints_come = threading.Event()

    def hints_come(self) -> None:
        """The broker answers, and what lies there arrives now."""
        self._hints_come.set()

    def start(self) -> None:
        threading.Thread(target=self._loop, name="seek-work", daemon=True).start()

    def run_again(self, job_id: str) -> None:
        """Have a job that lost its runner run in the next free slot, before any other, unless another worker is
        quicker. Returns at once."""
        self._slots.line_up_first()
        threading.Thread(target=self._run_first, args=(job_id,), name="run-again", daemon=True).start()

    def _loop(self) -> None:
        if self._hints_come.wait(_LONGEST_START_SECONDS):
            time.sleep(_OVERDUE_AFTER.total_seconds())
        while True:
            # The jitter keeps workers apart.
            self._woken.wait(_EVERY_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311
            self._woken.clear()
            try:
                self.look()
            except OperationalError:
                log.warning("work_not_sought")

    def look(self) -> None:
        """Fill the slots that nobody else wants with what is overdue. Raises ``OperationalError``."""
        room = self._slots.count_idle()
        if not room:
            return
        with self._database.read() as session:
            found = overdue(session, self._queue, self._kinds, older_than=_OVERDUE_AFTER, limit=room)
        for job_id in found:
            slot = self._slots.take_idle()
            if slot is None:
                return
            log.info("job_without_hint", job_id=job_id)
            threading.Thread(target=self._run_here, args=(slot, job_id), name="unhinted", daemon=True).start()

    def _run_here(self, slot: Slot, job_id: str) -> None:
        try:
            self._run(slot, job_id)
        except OperationalError:
            log.warning("job_not_carried", job_id=job_id)
        # There may be more where it came from.
        self._woken.set()

    def _run_first(self, job_id: str) -> None:
        slot = self._slots.take_first()
        if slot is not None:
            self._run_here(slot, job_id)
