"""What a slot does from one hint on: the hinted job and, while jobs are short, the queue's next ones without a hint for
each. They are claimed and committed several at a time, so that the database is asked once for many."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from db.claims import Fenced, Token, claim, unhinted
from db.finish import hand_back
from db.rows import JobRow
from db.states import State
from workers.execution import Execution
from workers.lease_keeper import lease_until
from workers.pace import MOST_TOGETHER, as_many_as_fit
from workers.slots import Slot
from workers.tally import Claimed, Desk, NotTogether, Tally

log = structlog.get_logger()

# Then the slot looks at the hints again: theirs are the queue's best jobs.
_LONGEST_SECONDS = 0.25
_RETRY_SECONDS = 0.5


class Streak:
    """Belongs to the thread that has the slot; only ``shut_down`` may be called by others."""

    def __init__(self, desk: Desk, slot: Slot) -> None:
        self._desk = desk
        self._slot = slot
        self._runner = slot.runner
        self._ahead: deque[Claimed] = deque()
        self._tally = Tally(desk)
        self._go_on_until = time.monotonic() + _LONGEST_SECONDS
        self._lock = threading.Lock()
        self._current: Execution | None = None
        self._shutting_down = False
        self._retry_at = 0.0

    @property
    def leaves_something(self) -> bool:
        """Whether a job that ended has something to be cleaned up."""
        return self._tally.leaves_something

    def run(self, job_id: str, *, hinted: bool = True) -> State | None:
        """Begin with this job. Its state afterwards; None if it was not there to claim or was taken away."""
        self._tally.hinted = job_id if hinted else None
        self._claim([job_id])
        try:
            if not self._ahead:
                # Somebody took it, but a hint says that there is work.
                self._commit_and_claim()
            while self._ahead:
                if self._may_begin():
                    self._run_next(self._ahead.popleft())
                else:
                    self._wait_until_released()
                if not self._ahead:
                    self._commit_and_claim()
        finally:
            # Only what broke leaves any of them: its jobs' leases lapse.
            for claimed, _ in self._tally.done:
                claimed.execution.let_go()
            for claimed in self._ahead:
                claimed.execution.let_go()
        return self._tally.states.get(job_id)

    def shut_down(self) -> None:
        """Begin no further job; the one that runs ends within the grace period or is handed back."""
        with self._lock:
            self._shutting_down = True
            current = self._current
        if current is not None:
            current.shut_down()

    def _run_next(self, claimed: Claimed) -> None:
        job, execution = claimed.job, claimed.execution
        with self._lock:
            self._current = execution
            late = self._shutting_down
        if late:
            execution.shut_down()
        self._tally.started(job)
        began = time.monotonic()
        report = execution.work(self._make_way)
        with self._lock:
            self._current = None
        if report is None:
            execution.let_go()
            self._tally.note_leavings(job)
            return
        # Failures count, too: a kind whose jobs wait for what does not answer is not short.
        self._desk.pace.note(job.kind, time.monotonic() - began)
        success = execution.success(report)
        if success is None:
            state = execution.end(report)
            if report.died is not None and state is State.QUEUED:
                self._desk.lost(job.id)
            self._tally.note_end(claimed, state)
            return
        self._tally.done.append((claimed, success))

    def _may_begin(self) -> bool:
        return not self._shutting_down and self._runner.takes_jobs()

    def _may_claim(self) -> bool:
        return self._may_begin() and time.monotonic() < self._go_on_until

    def _claim(self, job_ids: Sequence[str]) -> None:
        asked_at = time.monotonic()
        with self._desk.shop.database.write() as session:
            jobs = claim(session, job_ids, self._desk.claimant)
        self._take(jobs, job_ids, asked_at)

    def _commit_and_claim(self) -> None:
        """Waits for a database that is away: what has ended must be written down."""
        while True:
            asked_at = time.monotonic()
            ids: Sequence[str] = ()
            jobs: Sequence[JobRow] = ()

            def claim_next(session: Session) -> None:
                nonlocal ids, jobs
                ids = self._next_ids(session) if self._may_claim() else ()
                jobs = claim(session, ids, self._desk.claimant) if ids else ()

            try:
                self._tally.commit_with(claim_next)
                break
            except OperationalError:
                log.warning("endings_not_written", jobs=len(self._tally.done))
                time.sleep(_RETRY_SECONDS)
            except NotTogether:
                self._tally.tell()
                return
        self._take(jobs, ids, asked_at)
        self._tally.tell()

    def _next_ids(self, session: Session) -> Sequence[str]:
        short = self._desk.pace.short()
        if not short:
            return ()
        found = unhinted(session, self._desk.queue, short, MOST_TOGETHER * self._desk.slots)
        share = -(-len(found) // self._desk.slots)
        count = min(share, as_many_as_fit([short[kind] for _, kind in found]))
        return [job_id for job_id, _ in found[:count]]

    def _take(self, jobs: Sequence[JobRow], order: Sequence[str], asked_at: float) -> None:
        by_id = {job.id: job for job in jobs}
        if jobs:
            log.info("jobs_claimed", attempts=" ".join(f"{job.id}/{job.attempt}" for job in jobs))
        for job in (by_id[job_id] for job_id in order if job_id in by_id):
            kind = self._desk.kinds[job.kind]
            self._ahead.append(Claimed(job, Execution(self._desk.shop, job, kind, self._slot, lease_until(asked_at))))

    def _make_way(self) -> None:
        """The running job takes long: what is done is committed meanwhile, and what waits is left to others. Tried
        again soon if the database does not answer."""
        self._tally.tell()
        if not (self._tally.done or self._ahead) or time.monotonic() < self._retry_at:
            return
        try:
            with suppress(NotTogether):
                self._tally.commit_with(lambda _session: None)
            self._release()
        except OperationalError:
            log.warning("way_not_made", done=len(self._tally.done), ahead=len(self._ahead))
            self._retry_at = time.monotonic() + _RETRY_SECONDS

    def _wait_until_released(self) -> None:
        while True:
            try:
                self._release()
                return
            except OperationalError:
                log.warning("not_given_back_yet", jobs=len(self._ahead))
                time.sleep(_RETRY_SECONDS)

    def _release(self) -> None:
        """Give back what was claimed and not begun."""
        if not self._ahead:
            return
        with self._desk.shop.database.write() as session:
            for claimed in sorted(self._ahead, key=lambda claimed: claimed.job.id):
                _hand_back(session, claimed.execution.token)
        waiting, self._ahead = self._ahead, deque()
        for claimed in waiting:
            claimed.execution.let_go()
        self._desk.released()


def _hand_back(session: Session, token: Token) -> None:
    try:
        hand_back(session, token, "The job was claimed together with one that took long, and given back unstarted.")
    except Fenced:
        log.info("not_given_back", job_id=token.job_id)
