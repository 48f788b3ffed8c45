"""Delivering webhooks, in every worker, from a thread with an event loop of its own.

Any number of workers may do it at once: each delivery is leased. Many go out at the same time, but only a few to one
receiver, so that a slow one holds up nobody but itself.
"""

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http import HTTPStatus

import structlog
from sqlalchemy.exc import OperationalError

from db.engine import Database
from db.webhook_outcomes import Outcome, settle
from db.webhooks import LEASE, Delivery, anything_untold, due_hosts, notice, take
from tasks.webhook_urls import Network
from workers.webhook_sending import TOTAL_SECONDS, NotDelivered, Sender
from workers.webhook_signing import signed_headers

log = structlog.get_logger()

AT_ONCE = 64
AT_ONE_RECEIVER = 16
# The pauses between them grow to fifteen hours and make most of a day.
TRIES = 10
_FIRST_PAUSE = timedelta(seconds=5)
_LONGER_EACH_TIME = 3.2
_EVERY_SECONDS = 0.5
_CLOSING_SECONDS = 3.0


def pause_after(failures: int) -> timedelta | None:
    """How long to wait after so many failed tries of one event, give or take a fifth; None: that was the last one."""
    if failures >= TRIES:
        return None
    jitter = random.uniform(0.8, 1.2)  # noqa: S311 - keeps those apart that failed together
    return _FIRST_PAUSE * (_LONGER_EACH_TIME ** (failures - 1) * jitter)


class Deliverer:
    """One process's share of the deliveries. ``allowed`` are networks that are not public and yet may be called."""

    def __init__(self, database: Database, allowed: Sequence[Network]) -> None:
        self._database = database
        self._allowed = allowed
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="webhooks", daemon=True)
        self._closing = threading.Event()
        self._outcomes: list[Outcome] = []
        self._under_way: dict[asyncio.Task[None], str] = {}

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Begin no more deliveries, and give those under way a moment. What is cut off is delivered again by another
        worker, under the same id."""
        self._closing.set()
        self._thread.join(_CLOSING_SECONDS)

    async def _run(self) -> None:
        # Names are resolved in the default executor; a slow resolver must not keep the database waiting.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(AT_ONCE, thread_name_prefix="resolve"))
        self._news = asyncio.Event()
        self._sender = Sender(self._allowed)
        with ThreadPoolExecutor(1, thread_name_prefix="webhooks-database") as database:
            while not (self._closing.is_set() and not self._under_way and not self._outcomes):
                await self._round(database)
                await self._pause()

    async def _round(self, database: ThreadPoolExecutor) -> None:
        outcomes, self._outcomes = self._outcomes, []
        room = 0 if self._closing.is_set() else AT_ONCE - len(self._under_way)
        busy = Counter(self._under_way.values())
        asked_at = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(database, self._write_down, outcomes)
        except Exception as exc:  # noqa: BLE001 - told by `_warn`
            # If it takes too long, another worker delivers them again.
            self._outcomes = outcomes + self._outcomes
            _warn("webhook_outcomes_not_written", exc)
            return
        try:
            taken = await loop.run_in_executor(database, self._take, room, busy)
        except Exception as exc:  # noqa: BLE001 - told by `_warn`
            _warn("webhooks_not_taken", exc)
            return
        for delivery in taken:
            task = asyncio.create_task(self._deliver(delivery, asked_at))
            self._under_way[task] = delivery.host

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_EVERY_SECONDS * random.uniform(0.8, 1.2)):  # noqa: S311 - keeps workers apart
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()
        for task in [task for task in self._under_way if task.done()]:
            del self._under_way[task]
            task.result()

    def _write_down(self, outcomes: Sequence[Outcome]) -> None:
        if not outcomes:
            return
        with self._database.write() as session:
            late = settle(session, outcomes)
        if late:
            log.warning("webhook_leases_lost", deliveries=late)

    def _take(self, room: int, busy: Counter[str]) -> Sequence[Delivery]:
        if room <= 0:
            return ()
        with self._database.read() as session:
            untold, due = anything_untold(session), bool(due_hosts(session))
        if not untold and not due:
            return ()
        while untold:
            with self._database.write() as session:
                untold = notice(session) > 0
        room_at = {host: AT_ONE_RECEIVER - count for host, count in busy.items()}
        with self._database.write() as session:
            return take(session, room, room_at, AT_ONE_RECEIVER)

    async def _deliver(self, delivery: Delivery, asked_at: float) -> None:
        if time.monotonic() - asked_at > LEASE.total_seconds() - TOTAL_SECONDS:
            # This process stood still; somebody else may be about to deliver it, or what follows it.
            return
        # By the database's clock: receivers refuse what a machine with a wrong one signs.
        now = delivery.taken_at + timedelta(seconds=time.monotonic() - asked_at)
        body = json.dumps(delivery.message, separators=(",", ":")).encode()
        headers = {
            "content-type": "application/json",
            "user-agent": "Turnout-Webhooks/1",
            **signed_headers(delivery.secrets, f"{delivery.job_id}_{delivery.seq}", now, body),
        }
        try:
            outcome = outcome_of(delivery, await self._sender.post(delivery.url, headers, body))
        except NotDelivered as exc:
            outcome = Outcome(delivery, problem=str(exc), pause=pause_after(delivery.tries + 1))
        except Exception as exc:
            # Whatever a receiver makes break here must not end a worker and its jobs, and then the next worker.
            log.exception("webhook_broke", job_id=delivery.job_id, seq=delivery.seq)
            problem = f"The delivery failed with {type(exc).__name__}; the worker's log has the details."
            outcome = Outcome(delivery, problem=problem, pause=pause_after(delivery.tries + 1))
        _report(outcome)
        self._outcomes.append(outcome)
        self._news.set()


def outcome_of(delivery: Delivery, status: int) -> Outcome:
    """What the receiver's answer means."""
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome(delivery, status)
    if status == HTTPStatus.GONE:
        return Outcome(delivery, status, "The receiver answered 410: it wants no more.", gone=True)
    hint = "; redirects are not followed" if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST else ""
    return Outcome(delivery, status, f"The receiver answered {status}{hint}.", pause=pause_after(delivery.tries + 1))


def _warn(event: str, exc: Exception) -> None:
    """A database that is away is nothing unusual. Whatever else it is must not end a worker and its jobs."""
    log.warning(event, error=type(exc).__name__, exc_info=None if isinstance(exc, OperationalError) else exc)


def _report(outcome: Outcome) -> None:
    fields = {"job_id": outcome.delivery.job_id, "seq": outcome.delivery.seq, "status": outcome.status}
    if outcome.problem is None:
        log.info("webhook_delivered", **fields)
    else:
        log.warning("webhook_not_delivered", **fields, tries=outcome.delivery.tries + 1, problem=outcome.problem)
