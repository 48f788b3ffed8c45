"""One thread that commits what many requests submit: whatever waits while a transaction runs goes into the next one.

A commit that waits for the disk, and the statements around it, are then paid once for all of them. Each request gets
its own answer: what one of them sends can make no other one fail.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from api.hinter import Hinter
from api.known_keys import key_unknown
from api.waiting import COUNT_UP_TO, Waits
from db.engine import Database
from db.group import Outcome, Queued, Submission, submit_group
from db.hints import Hint, next_hints
from db.owners import valid_keys
from db.rows import JobRow

log = structlog.get_logger()

# Keeps transactions short enough for others: on SQLite nobody else writes meanwhile.
_MOST_AT_ONCE = 200
# In one round of the loop a request is answered, in the next ones the following one arrives, is read and is handled.
_ROUNDS = 3
_LONGEST_HEARING_SECONDS = 0.02


@dataclass(frozen=True)
class Answer:
    """What became of a submission; ``waiting_for`` is why a new job does not run, if the submission counts."""

    outcome: Outcome
    waiting_for: str | None = None


@dataclass(frozen=True)
class _Request:
    submission: Submission
    key_sha256: str
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[Answer]"


class Committer:
    """``start`` before the first submission, ``close`` after the last one."""

    def __init__(self, database: Database, hinter: Hinter) -> None:
        self._database = database
        self._hinter = hinter
        self._changed = threading.Condition()
        self._requests: list[_Request] = []
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Commit what was submitted, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=5)

    async def submit(self, submission: Submission, key_sha256: str) -> Answer:
        """Returns once the job is safe. Raises the 401 problem for a revoked key, and what the database says."""
        loop = asyncio.get_running_loop()
        request = _Request(submission, key_sha256, loop, loop.create_future())
        with self._changed:
            self._requests.append(request)
            self._changed.notify()
        return await request.answer

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._requests or self._closing)
                some, self._requests = self._requests[:_MOST_AT_ONCE], self._requests[_MOST_AT_ONCE:]
            if not some:
                return
            answers = self._answers(some)
            for loop in {request.loop for request in some}:
                # A loop that has ended has nobody who waits.
                with suppress(RuntimeError):
                    self._answer([pair for pair in answers if pair[0].loop is loop], loop)

    def _answer(self, answers: Sequence[tuple[_Request, Answer | Exception]], loop: asyncio.AbstractEventLoop) -> None:
        """Hand them to the loop, and let it hear what follows upon them before the next transaction: it has no time for
        that during one, which would be smaller then and cost each request more."""
        heard = threading.Event()

        def rounds(left: int) -> None:
            if left:
                loop.call_soon(rounds, left - 1)
            else:
                heard.set()

        def settle() -> None:
            _settle(answers)
            rounds(_ROUNDS)

        loop.call_soon_threadsafe(settle)
        heard.wait(_LONGEST_HEARING_SECONDS)

    def _answers(self, requests: Sequence[_Request]) -> Sequence[tuple[_Request, Answer | Exception]]:
        try:
            return self._commit_again(requests)
        except (OperationalError, PoolTimeout) as exc:
            return [(request, exc) for request in requests]
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is the answer to a request and must end no thread
            gone = isinstance(exc, DBAPIError) and exc.connection_invalidated
            if gone or len(requests) == 1:
                return [(request, exc) for request in requests]
            # One of them is at fault; apart, the others go through.
            log.warning("submissions_one_by_one", error=type(exc).__name__, requests=len(requests))
            return [pair for request in requests for pair in self._answers([request])]

    def _commit_again(self, requests: Sequence[_Request]) -> Sequence[tuple[_Request, Answer | Exception]]:
        try:
            return self._commit(requests)
        except IntegrityError:
            if not any(request.submission.key for request in requests):
                raise
            # Another process has committed one of the keys in between; this time its job is found.
            return self._commit(requests)

    def _commit(self, requests: Sequence[_Request]) -> Sequence[tuple[_Request, Answer | Exception]]:
        written: list[str] = []
        queues: set[str] = set()
        hints: Mapping[str, Sequence[Hint]] = {}
        answers: Sequence[tuple[_Request, Answer | Exception]] = ()
        try:
            with self._database.write() as session:
                valid = valid_keys(session, {request.key_sha256 for request in requests})
                allowed = [request for request in requests if request.key_sha256 in valid]
                refused = [(request, key_unknown()) for request in requests if request.key_sha256 not in valid]
                outcomes = submit_group(session, [request.submission for request in allowed], COUNT_UP_TO)
                waits = Waits(session)
                for request, outcome in zip(allowed, outcomes, strict=True):
                    if isinstance(outcome, Queued):
                        written.append(outcome.job_id)
                        queues.add(request.submission.new.queue)
                answered = [(one, _answer(waits, one, outcome)) for one, outcome in zip(allowed, outcomes, strict=True)]
                answers = [*answered, *refused]
                hints = self._mark(session, queues)
        except OperationalError:
            # Perhaps only the word that it had committed was lost.
            if not self._is_kept(written):
                raise
        for queue in queues:
            self._hinter.pass_on(queue, hints.get(queue))
        return answers

    def _is_kept(self, written: Sequence[str]) -> bool:
        """Whether a transaction committed: all its jobs are there, or none. Raises what the database says."""
        if not written:
            return False
        with self._database.read() as session:
            return session.get(JobRow, written[-1]) is not None

    def _mark(self, session: Session, queues: set[str]) -> Mapping[str, Sequence[Hint]]:
        """The hints to send after the commit: marked here, they cost no transaction of their own."""
        return {queue: next_hints(session, queue) for queue in queues if self._hinter.wants_hints(queue)}


def _answer(waits: Waits, request: _Request, outcome: Outcome) -> Answer:
    if not isinstance(outcome, Queued) or outcome.ahead is None:
        return Answer(outcome)
    new = request.submission.new
    return Answer(outcome, waits.queued(new.queue, new.kind, outcome.ahead))


def _settle(answers: Sequence[tuple[_Request, Answer | Exception]]) -> None:
    for request, answer in answers:
        # Who went away meanwhile has cancelled its future; its job is committed all the same.
        if request.answer.done():
            continue
        if isinstance(answer, Exception):
            request.answer.set_exception(answer)
        else:
            request.answer.set_result(answer)
