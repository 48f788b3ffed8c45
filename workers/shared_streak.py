"""What a slot does with jobs that share its runner: it admits them as they come, as many at once as there are seats,
until none is left. One thread serves them all; what they need of the database is asked for together."""

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from db.claims import Fenced, Token, claim, unhinted
from db.finish import hand_back
from db.hints import unmark
from db.rows import JobRow
from db.states import State
from workers.balance import fair_share
from workers.channel import Message
from workers.execution import Ended, addressee
from workers.lease_keeper import lease_until
from workers.shared_execution import SharedExecution, SharedRunner
from workers.slots import Slot, Slots
from workers.tally import Claimed, Desk, NotTogether, Tally

log = structlog.get_logger()

_TICK_SECONDS = 0.1
# While hints bring all there is, a look for more finds those alone whose hints got lost.
_RARE_LOOK_SECONDS = 0.5
_RETRY_SECONDS = 0.5
# The jobs of a batch end one right after the other, and are committed together. The more are on their way, the longer
# each of them takes anyhow, and the less such a moment matters.
_GATHER_SECONDS_EACH, _LONGEST_GATHER_SECONDS = 0.0004, 0.015
# The next job often comes right behind the last one, and its model is here.
_LINGER_SECONDS = 0.25
# Of jobs with many inputs each, few keep the device busy, and the others may find an idle one elsewhere.
_MOST_INPUTS = 1024
_FEWEST_JOBS = 2
# As long as it is not known how many inputs jobs have, and how much the last one tells of the next.
_FIRST_JOBS = 8
_WEIGHT_OF_THE_LAST = 0.2
# A job that lost its runner so often may be what ends it: from then on it runs alone.
_LOSSES_TOGETHER = 2
_MOST_MESSAGES = 1000


class SharedStreak:
    """Belongs to the thread that has the slot; only ``invite``, ``load``, ``nudge`` and ``shut_down`` are for
    others."""

    def __init__(
        self, desk: Desk, slot: Slot, slots: Slots, job_id: str, fellows: Callable[[], Sequence["SharedStreak"]] = tuple
    ) -> None:
        """It begins with this job, if it is there to claim. While somebody waits for one of ``slots``, no more jobs are
        admitted; idle ones and ``fellows``, which are all of the worker's, get their share of them."""
        self._desk = desk
        self._slot = slot
        self._slots = slots
        self._fellows = fellows
        self._runner = SharedRunner(slot.runner)
        self._kinds = [name for name, kind in desk.kinds.items() if kind.shared]
        self._tally = Tally(desk)
        self._attempts: dict[Token, SharedExecution] = {}
        self._claimed: dict[Token, Claimed] = {}
        self._apart: deque[Claimed] = deque()
        self._alone = False
        self._invited = deque([job_id])
        self._lock = threading.Lock()
        self._closed = False
        self._shutting_down = False
        self._look_at = 0.0
        self._watch_at = 0.0
        self._refill_at = 0.0
        self._idle_since: float | None = None
        self._inputs = 0
        self._leaves_some, self._seeks = False, True
        self._usual_inputs = _MOST_INPUTS / _FIRST_JOBS

    def run(self) -> None:
        """Until nothing comes any more."""
        try:
            while not self._is_over():
                self._commit_and_admit()
                self._listen()
        finally:
            self._close()

    def invite(self, job_id: str) -> bool:
        """Have a job claimed here that a hint names; False if there is no seat."""
        with self._lock:
            if self._closed or self._room() <= len(self._invited):
                return False
            self._invited.append(job_id)
        self._interrupt()
        return True

    @property
    def load(self) -> float:
        """How many inputs its jobs have together, as far as it is known; infinite while it takes no further ones."""
        if not self._room():
            return math.inf
        return self._inputs + len(self._invited) * self._usual_inputs

    def nudge(self) -> None:
        """Have it look soon for what waits."""
        self._look_at = 0.0
        self._interrupt()

    def shut_down(self) -> None:
        """Admit no further job; those that run end within the grace period or are handed back."""
        with self._lock:
            self._shutting_down = True
            running = list(self._attempts.values())
        for execution in running:
            execution.shut_down()

    def _room(self) -> int:
        """For how many more jobs there are seats."""
        if self._apart or self._alone or not self._may_admit():
            return 0
        fitting = math.ceil((_MOST_INPUTS - self._inputs) / self._usual_inputs)
        fitting = max(fitting, _FEWEST_JOBS - len(self._claimed))
        return max(0, min(fitting, self._slot.setting.seats - len(self._claimed)))

    def _interrupt(self) -> None:
        # One that comes too late is read by whoever has the runner next, for whom it is a message to nobody.
        self._runner.process.inbox.put({"type": "invited", "job_id": ""})

    def _may_admit(self) -> bool:
        return not self._shutting_down and self._runner.process.takes_jobs() and not self._slots.is_wanted()

    def _is_over(self) -> bool:
        """Whether the slot has nothing to do any more; no invitation is accepted from then on."""
        if self._claimed or self._apart or self._tally.done:
            self._idle_since = None
            return False
        now = time.monotonic()
        self._idle_since = self._idle_since or now
        with self._lock:
            lingers = self._may_admit() and (self._invited or now < self._idle_since + _LINGER_SECONDS)
            self._closed = not lingers
        return self._closed

    def _close(self) -> None:
        with self._lock:
            self._closed = True
        # Only what broke leaves any of them: its jobs' leases lapse, and nothing of them may go on in an idle slot.
        if self._claimed:
            self._runner.process.kill()
        for claimed, _ in self._tally.done:
            claimed.execution.let_go()
        for claimed in [*self._claimed.values(), *self._apart]:
            claimed.execution.let_go()
        if self._invited:
            self._let_others_have(list(self._invited))
        self._tally.tell()

    def _let_others_have(self, job_ids: Sequence[str]) -> None:
        try:
            with self._desk.shop.database.write() as session:
                unmark(session, job_ids)
        except OperationalError:
            log.warning("hints_not_given_back", jobs=len(job_ids))

    def _commit_and_admit(self) -> None:
        """Tried again soon if the database does not answer: the jobs that run go on meanwhile."""
        now = time.monotonic()
        room = self._room()
        looks = room > 0 and (bool(self._invited or self._tally.done) or now >= self._look_at)
        if not (self._tally.done or looks):
            return
        has_many = len(self._claimed) + len(self._invited) > 1
        self._seeks = looks and (has_many or now >= self._look_at)
        if self._seeks:
            self._look_at = now + (_TICK_SECONDS if has_many else _RARE_LOOK_SECONDS)
        try:
            if looks and not (self._invited or self._tally.done) and not self._something_waits():
                return
            self._commit_and_claim(room)
        except OperationalError:
            log.warning("endings_not_written", jobs=len(self._tally.done))
            time.sleep(_RETRY_SECONDS)

    def _something_waits(self) -> bool:
        with self._desk.shop.database.read() as session:
            return bool(unhinted(session, self._desk.queue, self._kinds, self._slot.setting.seats))

    def _commit_and_claim(self, room: int) -> None:
        asked_at = time.monotonic()
        invited = [self._invited[index] for index in range(min(room, len(self._invited)))]
        jobs: Sequence[JobRow] = ()

        def claim_next(session: Session) -> None:
            nonlocal jobs
            ids = self._next_ids(session, invited, room) if room else ()
            jobs = claim(session, ids, self._desk.claimant) if ids else ()

        try:
            self._tally.commit_with(claim_next)
        except NotTogether:
            self._tally.tell()
            return
        for _ in invited:
            self._invited.popleft()
        self._begin(jobs, asked_at)
        self._tally.tell()
        if self._leaves_some and asked_at >= self._refill_at:
            self._refill_at = asked_at + (_TICK_SECONDS if self._seeks else _RARE_LOOK_SECONDS)
            self._leaves_some = False
            self._desk.released()

    def _next_ids(self, session: Session, invited: Sequence[str], room: int) -> Sequence[str]:
        """Those invited and, where it seeks, more. With a job at a time, hints bring all there is: their window is not
        full."""
        if not self._seeks:
            self._leaves_some = bool(invited)
            return list(dict.fromkeys(invited))
        seats = self._slot.setting.seats
        unknown = unhinted(session, self._desk.queue, self._desk.kinds, seats)
        found = [job_id for job_id, kind in unknown if self._desk.kinds[kind].shared]
        mine = self._inputs + len(invited) * self._usual_inputs
        fellows = [fellow for fellow in self._fellows() if fellow is not self]
        others = [*(fellow.load for fellow in fellows), *[0.0] * self._slots.count_idle()]
        share = fair_share(len(found), self._usual_inputs, mine, others)
        if share < len(found):
            for fellow in fellows:
                fellow.nudge()
        ids = [*dict.fromkeys([*invited, *found[:share]])][: max(room, len(invited))]
        # What is claimed here makes room for hints to others, and idle slots wait for hints.
        self._leaves_some = len(unknown) > len(ids) - len(invited) or len(unknown) >= seats // 2
        return ids

    def _begin(self, jobs: Sequence[JobRow], asked_at: float) -> None:
        if jobs:
            log.info("jobs_claimed", attempts=" ".join(f"{job.id}/{job.attempt}" for job in jobs))
        for job in sorted(jobs, key=lambda job: (job.precedence, job.fair_tag, job.id)):
            kind = self._desk.kinds[job.kind]
            self._usual_inputs += _WEIGHT_OF_THE_LAST * (_inputs(job.spec) - self._usual_inputs)
            until = lease_until(asked_at)
            execution = SharedExecution(self._desk.shop, job, kind, self._slot, self._runner, until)
            claimed = Claimed(job, execution)
            if job.losses >= _LOSSES_TOGETHER:
                self._apart.append(claimed)
            else:
                self._order(claimed, execution)

    def _order(self, claimed: Claimed, execution: SharedExecution) -> None:
        token = execution.token
        with self._lock:
            # Whoever invites looks at them.
            self._claimed[token] = claimed
            self._attempts[token] = execution
            self._inputs += _inputs(claimed.job.spec)
            late = self._shutting_down
        if late:
            execution.shut_down()
        self._tally.started(claimed.job)
        ended = execution.begin()
        if ended is not None:
            self._end(token, ended)

    def _listen(self) -> None:
        """Deal with what the runner and the lease keeper say, and look at the clocks."""
        for message in self._messages():
            self._pass_on(message)
        now = time.monotonic()
        if now >= self._watch_at:
            self._watch_at = now + _TICK_SECONDS
            for execution in list(self._attempts.values()):
                execution.watch()
        if self._apart and not self._claimed:
            self._go_on_apart()

    def _messages(self) -> Sequence[Message]:
        """What lies there; waits a moment for the first."""
        inbox = self._runner.process.inbox
        found: list[Message] = []
        try:
            found.append(inbox.get(timeout=_RETRY_SECONDS if self._tally.done else _TICK_SECONDS))
            others = len(self._attempts) - 1
            until = time.monotonic() + min(_LONGEST_GATHER_SECONDS, _GATHER_SECONDS_EACH * others)
            while len(found) < _MOST_MESSAGES:
                found.append(inbox.get(timeout=max(0.0, until - time.monotonic())))
        except queue.Empty:
            pass
        return found

    def _pass_on(self, message: Message) -> None:
        if message["type"] == "invited":
            return
        if message["type"] == "died":
            self._end_all(message)
            return
        token = addressee(message)
        if message["type"] == "asked":
            for claimed in [one for one in self._apart if one.execution.token == token]:
                self._end_apart(claimed)
        execution = self._attempts.get(token)
        ended = None if execution is None else execution.hear(message)
        if ended is not None:
            self._end(token, ended)

    def _end_all(self, death: Message) -> None:
        """The runner is gone, and every attempt with it."""
        first = True
        for token, execution in list(self._attempts.items()):
            ended = execution.hear(death)
            if ended is None:
                raise RuntimeError("an attempt outlives its runner")
            again = self._end(token, ended) is State.QUEUED
            if again and first:
                # One brings the slot's next streak about, which looks for the others.
                self._desk.lost(token.job_id)
                first = False

    def _end(self, token: Token, ended: Ended) -> State | None:
        """Have the end written down: a success together with others, anything else at once."""
        self._alone = False
        with self._lock:
            claimed = self._claimed.pop(token)
            execution = self._attempts.pop(token)
            self._inputs -= _inputs(claimed.job.spec)
        if ended.report is None:
            execution.let_go()
            return None
        success = execution.success(ended.report)
        if success is not None:
            self._tally.done.append((claimed, success))
            return None
        state = execution.end(ended.report)
        self._tally.note_end(claimed, state)
        self._tally.tell()
        return state

    def _go_on_apart(self) -> None:
        """One that may end its runner gets it to itself, unless nothing may begin here any more."""
        if self._may_begin():
            self._alone = True
            claimed = self._apart.popleft()
            execution = claimed.execution
            if not isinstance(execution, SharedExecution):
                raise TypeError(type(execution).__name__)
            self._order(claimed, execution)
            return
        try:
            with self._desk.shop.database.write() as session:
                for claimed in sorted(self._apart, key=lambda claimed: claimed.job.id):
                    _hand_back(session, claimed.execution.token)
        except OperationalError:
            log.warning("not_given_back_yet", jobs=len(self._apart))
            return
        while self._apart:
            self._apart.popleft().execution.let_go()
        self._desk.released()

    def _end_apart(self, claimed: Claimed) -> None:
        """It was asked to end while it waits for the runner. It is asked again if the database does not answer."""
        try:
            with self._desk.shop.database.write() as session:
                state = _hand_back(session, claimed.execution.token)
        except OperationalError:
            log.warning("not_given_back_yet", jobs=1)
            return
        self._apart.remove(claimed)
        self._tally.note_end(claimed, state)
        self._tally.tell()

    def _may_begin(self) -> bool:
        return not self._shutting_down and self._runner.process.takes_jobs()


def _inputs(spec: Mapping[str, Any]) -> int:
    """How many inputs a job has: as many as the longest list in its spec."""
    return max((len(value) for value in spec.values() if isinstance(value, list) and value), default=1)


def _hand_back(session: Session, token: Token) -> State | None:
    """The job's state then; None if somebody else ended the attempt."""
    try:
        return hand_back(session, token, "The job was claimed to run alone, and given back unstarted.")
    except Fenced:
        log.info("not_given_back", job_id=token.job_id)
        return None
