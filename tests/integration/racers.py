"""What processes do at once in tests of races. Imports only what it races with, since each process imports it."""

import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from db import finish, hints, schema
from db.claims import Claimant, Fenced, Token, claim
from db.engine import Database
from db.ids import new_id
from db.leases import expire_lapsed, renew
from db.rows import JobRow
from db.states import Reason, StopRequest
from db.stops import AlreadyFinal, request_stop

_GIVE_UP_AFTER = 120


class Processes:
    """Processes that begin together, on a barrier."""

    def __init__(self, count: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._manager = spawn.Manager()
        self._pool = spawn.Pool(count)

    def run(self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """What each call returned; raises what one raised."""
        start = self._manager.Barrier(len(arguments))
        return self._pool.starmap(_together, [(start, function, given) for given in arguments], chunksize=1)

    def end(self) -> None:
        self._pool.terminate()
        self._pool.join()
        self._manager.shutdown()


def _together(start: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    start.wait(60)
    return function(*arguments)


def migrate(url: str, revision: str) -> None:
    database = Database(url)
    change = schema.upgrade if revision == "head" else schema.downgrade
    change(database, revision)
    database.dispose()


def run_jobs(url: str, job_ids: Sequence[str], attempts: int, at_once: int) -> list[Token]:
    """Claim jobs, hand them back until so many attempts are used up, then succeed. Returns what was claimed."""
    database, claimant = Database(url), Claimant(new_id(), "w")
    chance = random.Random(claimant.worker_id)
    won: list[Token] = []
    unfinished = set(job_ids)
    give_up_at = time.monotonic() + _GIVE_UP_AFTER
    while unfinished:
        assert time.monotonic() < give_up_at, f"{len(unfinished)} jobs do not end"
        wanted = chance.sample(sorted(unfinished), min(at_once, len(unfinished)))
        with database.write() as session:
            claimed = [Token(job.id, job.attempt) for job in claim(session, wanted, claimant)]
        won += claimed
        for token in claimed:
            with database.write() as session:
                if token.attempt < attempts:
                    finish.hand_back(session, token)
                else:
                    finish.succeed(session, token, {}, {})
        with database.read() as session:
            unfinished = {one for one in wanted if session.get_one(JobRow, one).state != "succeeded"} | (
                unfinished - set(wanted)
            )
    database.dispose()
    return won


def end_attempts(url: str, tokens: Sequence[Token], how: str, worker_id: str) -> list[Token]:
    """Try to end each attempt in one way, in an order of its own. Returns those that this process ended."""
    database = Database(url)
    ended: list[Token] = []
    for token in random.sample(tokens, len(tokens)):
        try:
            with database.write() as session:
                done = _RIVALS[how](session, token, worker_id)
        except (Fenced, AlreadyFinal):
            continue
        ended += done
    database.dispose()
    return ended


def _succeed(session: Session, token: Token, _worker_id: str) -> list[Token]:
    finish.succeed(session, token, {"won": True}, {})
    return [token]


def _fail(session: Session, token: Token, _worker_id: str) -> list[Token]:
    finish.fail(session, token, reason=Reason.STALLED, message="no", retryable=True, metrics={})
    return [token]


def _notice(session: Session, token: Token, _worker_id: str) -> list[Token]:
    finish.end_cancelled(session, token, {})
    return [token]


def _cancel(session: Session, token: Token, _worker_id: str) -> list[Token]:
    """Only asks, unless the job does not run."""
    request_stop(session, session.get_one(JobRow, token.job_id), StopRequest.CANCEL)
    return []


def _sweep(session: Session, _token: Token, _worker_id: str) -> list[Token]:
    return list(expire_lapsed(session, limit=3))


def _renew(session: Session, token: Token, worker_id: str) -> list[Token]:
    renew(session, worker_id, [token])
    return []


_RIVALS = {
    "succeed": _succeed,
    "fail": _fail,
    "notice": _notice,
    "cancel": _cancel,
    "sweep": _sweep,
    "renew": _renew,
}


def shuffle_marks(url: str, queue: str, job_ids: Sequence[str], rounds: int) -> int:
    """Mark and unmark as janitors and senders do, in orders of its own. Returns how many marks were set."""
    database = Database(url)
    marked = 0
    for _ in range(rounds):
        with database.write() as session:
            marked += len(hints.next_hints(session, queue))
        with database.write() as session:
            hints.unmark(session, random.sample(job_ids, 20))
        with database.write() as session:
            hints.clear_stale_marks(session, queue, older_than=timedelta(0))
    database.dispose()
    return marked
