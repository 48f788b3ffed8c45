"""The attempts of one slot that have ended: committed several at a time, told together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from db.bulk_finish import Success, succeed_all
from db.claims import Claimant, Token
from db.rows import JobRow
from db.states import State
from tasks.kind import Kind
from workers.execution import Execution, Workshop
from workers.mirror import Event, told_ended, told_started
from workers.pace import Pace

log = structlog.get_logger()


@dataclass(frozen=True)
class Desk:
    """Where a worker's slots get their jobs from. ``slots`` is how many share them. ``announce`` gets Celery's events
    of the jobs that ran outside of Celery's tasks; ``ended`` the ids of those that are final; ``released`` says that
    jobs went back to the queue, ``lost`` that one did so because its runner died."""

    shop: Workshop
    kinds: Mapping[str, Kind]
    claimant: Claimant
    queue: str
    slots: int
    pace: Pace
    announce: Callable[[Sequence[Event]], None]
    ended: Callable[[Sequence[str]], None]
    released: Callable[[], None]
    lost: Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Claimed:
    """A job that was claimed, and its attempt."""

    job: JobRow
    execution: Execution


class Tally:
    """Belongs to the thread that has the slot. ``hinted`` is the job whose own Celery task tells of it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.hinted: str | None = None
        self.done: list[tuple[Claimed, Success]] = []
        self.states: dict[str, State] = {}
        self.leaves_something = False
        self._news: list[Event] = []
        self._final: list[str] = []
        self._ended: dict[State | None, list[str]] = {}

    def started(self, job: JobRow) -> None:
        if job.id != self.hinted:
            self._news += told_started(job)

    def commit_with(self, further: Callable[[Session], None]) -> None:
        """Commit what is done, and whatever else ``further`` does, in one transaction. Raises ``OperationalError``."""
        done = list(self.done)
        try:
            with self._desk.shop.database.write() as session:
                states = succeed_all(session, [success for _, success in done]) if done else {}
                further(session)
        except OperationalError:
            raise
        except (SQLAlchemyError, ValueError):
            if not done:
                raise
            # One of them can't be stored; which one shows when each is committed by itself.
            self._commit_one_by_one()
            raise NotTogether from None
        self._note_ends(done, states)
        self._tell_final()

    def note_end(self, claimed: Claimed, state: State | None) -> None:
        """An attempt's end is committed; None if somebody else ended it."""
        job = claimed.job
        claimed.execution.let_go()
        self._ended.setdefault(state, []).append(f"{job.id}/{job.attempt}")
        if state is None:
            return
        self.states[job.id] = state
        if state.is_final:
            self._final.append(job.id)
            self.note_leavings(job)
        if job.id != self.hinted:
            self._news.append(told_ended(job, state))

    def note_leavings(self, job: JobRow) -> None:
        if self._desk.kinds[job.kind].clean_up is not None:
            self.leaves_something = True

    def tell(self) -> None:
        """Log and announce what has happened since the last time: together, for a line each would take longer than the
        shortest jobs."""
        self._tell_final()
        ended, self._ended = self._ended, {}
        for state, attempts in ended.items():
            log.info("attempts_ended", state=state, attempts=" ".join(attempts))
        if self._news:
            news, self._news = self._news, []
            self._desk.announce(news)

    def _tell_final(self) -> None:
        """At once: somebody may wait for them."""
        if self._final:
            final, self._final = self._final, []
            self._desk.ended(final)

    def _commit_one_by_one(self) -> None:
        done, self.done = self.done, []
        for claimed, success in done:
            self.note_end(claimed, claimed.execution.end_alone(success))

    def _note_ends(self, done: Sequence[tuple[Claimed, Success]], states: Mapping[Token, State]) -> None:
        del self.done[: len(done)]
        for claimed, success in done:
            self.note_end(claimed, states.get(success.token))


class NotTogether(Exception):
    """What was done had to be committed one by one; what else was to be done with it was not."""
