"""What a slot does from one hint on: the hinted job and, while jobs are short, the queue's next ones without a hint for
each. They are claimed and committed several at a time, so that the database is asked once for many."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from db.bulk_finish import Success, succeed_all
from db.claims import Claimant, Fenced, Token, claim, unhinted
from db.finish import hand_back
from db.rows import JobRow
from db.states import State
from tasks.kind import Kind
from workers.execution import Execution, Workshop
from workers.lease_keeper import lease_until
from workers.mirror import Event, told_ended, told_started
from workers.pace import MOST_TOGETHER, Pace, as_many_as_fit
from workers.slots import Slot

log = structlog.get_logger()

# Then the slot looks at the hints again: theirs are the queue's best jobs.
_LONGEST_SECONDS = 0.25
_RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class Desk:
    """Where a worker's slots get their jobs from. ``slots`` is how many share them. ``announce`` gets Celery's
    events of the jobs that had no hint; ``released`` says that jobs went back to the queue, ``lost`` that one did so
    because its runner died."""

    shop: Workshop
    kinds: Mapping[str, Kind]
    claimant: Claimant
    queue: str
    slots: int
    pace: Pace
    announce: Callable[[Sequence[Event]], None]
    released: Callable[[], None]
    lost: Callable[[str], None]


@dataclass(frozen=True)
class _Claimed:
    job: JobRow
    execution: Execution


class Streak:
    """Belongs to the thread that has the slot; only ``shut_down`` may be called by others."""

    def __init__(self, desk: Desk, slot: Slot) -> None:
        self._desk = desk
        self._slot = slot
        self._runner = slot.runner
        self._ahead: deque[_Claimed] = deque()
        self._done: list[tuple[_Claimed, Success]] = []
        self._states: dict[str, State] = {}
        self._hinted: str | None = None
        self._go_on_until = time.monotonic() + _LONGEST_SECONDS
        self._lock = threading.Lock()
        self._current: Execution | None = None
        self._shutting_down = False
        self._retry_at = 0.0
        self._news: list[Event] = []
        self._ended: dict[State | None, list[str]] = {}
        self.leaves_something = False

    def run(self, job_id: str, *, hinted: bool = True) -> State | None:
        """Begin with this job. Its state afterwards; None if it was not there to claim or was taken away."""
        self._hinted = job_id if hinted else None
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
            for claimed, _ in self._done:
                claimed.execution.let_go()
            for claimed in self._ahead:
                claimed.execution.let_go()
        return self._states.get(job_id)

    def shut_down(self) -> None:
        """Begin no further job; the one that runs ends within the grace period or is handed back."""
        with self._lock:
            self._shutting_down = True
            current = self._current
        if current is not None:
            current.shut_down()

    def _run_next(self, claimed: _Claimed) -> None:
        job, execution = claimed.job, claimed.execution
        with self._lock:
            self._current = execution
            late = self._shutting_down
        if late:
            execution.shut_down()
        self._say_started(job)
        began = time.monotonic()
        report = execution.work(self._make_way)
        with self._lock:
            self._current = None
        if report is None:
            execution.let_go()
            self._note_leavings(job)
            return
        # Failures count, too: a kind whose jobs wait for what does not answer is not short.
        self._desk.pace.note(job.kind, time.monotonic() - began)
        success = execution.success(report)
        if success is None:
            state = execution.end(report)
            if report.died is not None and state is State.QUEUED:
                self._desk.lost(job.id)
            self._note_end(claimed, state)
            return
        self._done.append((claimed, success))

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
        done = list(self._done)
        successes = [success for _, success in done]
        while True:
            asked_at = time.monotonic()
            try:
                with self._desk.shop.database.write() as session:
                    states = succeed_all(session, successes) if successes else {}
                    ids = self._next_ids(session) if self._may_claim() else ()
                    jobs = claim(session, ids, self._desk.claimant) if ids else ()
                break
            except OperationalError:
                log.warning("endings_not_written", jobs=len(done))
                time.sleep(_RETRY_SECONDS)
            except (SQLAlchemyError, ValueError):
                # One of them can't be stored; which one shows when each is committed by itself.
                self._commit_one_by_one()
                self._tell()
                return
        self._note_ends(done, states)
        self._take(jobs, ids, asked_at)
        self._tell()

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
            self._ahead.append(_Claimed(job, Execution(self._desk.shop, job, kind, self._slot, lease_until(asked_at))))

    def _make_way(self) -> None:
        """The running job takes long: what is done is committed meanwhile, and what waits is left to others. Tried
        again soon if the database does not answer."""
        self._tell()
        if not (self._done or self._ahead) or time.monotonic() < self._retry_at:
            return
        try:
            self._commit_done()
            self._release()
        except OperationalError:
            log.warning("way_not_made", done=len(self._done), ahead=len(self._ahead))
            self._retry_at = time.monotonic() + _RETRY_SECONDS

    def _commit_done(self) -> None:
        done = list(self._done)
        try:
            with self._desk.shop.database.write() as session:
                states = succeed_all(session, [success for _, success in done])
        except OperationalError:
            raise
        except (SQLAlchemyError, ValueError):
            self._commit_one_by_one()
        else:
            self._note_ends(done, states)

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

    def _commit_one_by_one(self) -> None:
        done, self._done = self._done, []
        for claimed, success in done:
            self._note_end(claimed, claimed.execution.end_alone(success))

    def _note_ends(self, done: Sequence[tuple[_Claimed, Success]], states: Mapping[Token, State]) -> None:
        del self._done[: len(done)]
        for claimed, success in done:
            self._note_end(claimed, states.get(success.token))

    def _note_end(self, claimed: _Claimed, state: State | None) -> None:
        job = claimed.job
        claimed.execution.let_go()
        self._ended.setdefault(state, []).append(f"{job.id}/{job.attempt}")
        if state is None:
            return
        self._states[job.id] = state
        if state.is_final:
            self._note_leavings(job)
        if job.id != self._hinted:
            self._news.append(told_ended(job, state))

    def _tell(self) -> None:
        """Log and announce what has happened since the last time: together, for a line each would take longer than the
        shortest jobs."""
        ended, self._ended = self._ended, {}
        for state, attempts in ended.items():
            log.info("attempts_ended", state=state, attempts=" ".join(attempts))
        if self._news:
            news, self._news = self._news, []
            self._desk.announce(news)

    def _note_leavings(self, job: JobRow) -> None:
        if self._desk.kinds[job.kind].clean_up is not None:
            self.leaves_something = True

    def _say_started(self, job: JobRow) -> None:
        if job.id != self._hinted:
            self._news += told_started(job)


def _hand_back(session: Session, token: Token) -> None:
    try:
        hand_back(session, token, "The job was claimed together with one that took long, and given back unstarted.")
    except Fenced:
        log.info("not_given_back", job_id=token.job_id)
