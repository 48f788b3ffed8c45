"""The sweep that every worker does about once a second: no leader, no single point of failure.

Each chore is a transaction of guarded, idempotent statements of its own, so any number of janitors may do it at once.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.exc import OperationalError

from db.claims import LEASE
from db.clock import read_now
from db.due import settle_waiting
from db.engine import Database
from db.hints import clear_stale_marks, count_marks
from db.leases import expire_lapsed
from db.moving import move_stranded
from db.stops import enforce_deadlines
from tasks.broker import BrokerUnavailable
from tasks.hints import HintSender
from tasks.kind import Kind
from tasks.queues import Queue
from workers.refill import refill

log = structlog.get_logger()

_EVERY_SECONDS = 1.0
_STALE_AFTER = timedelta(seconds=2)


class Janitor:
    """``clean_up`` frees what final jobs left."""

    def __init__(
        self,
        *,
        database: Database,
        sender: HintSender,
        queue: str,
        kinds: Mapping[str, Kind],
        clean_up: Callable[[], None],
    ) -> None:
        self._database = database
        self._sender = sender
        self._queue = queue
        self._fallbacks = {name: kind.queues for name, kind in kinds.items() if kind.fallback}
        self._clean_up = clean_up
        self._database_seen_since: float | None = None
        self._last_round = 0.0
        self._last_database_time = datetime.min.replace(tzinfo=UTC)

    def start(self) -> None:
        threading.Thread(target=self._loop, name="janitor", daemon=True).start()

    def _loop(self) -> None:
        while True:
            try:
                self.round()
            except OperationalError:
                log.warning("round_not_finished")
                self._database_seen_since = None
            time.sleep(_EVERY_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - keeps janitors apart

    def round(self) -> None:
        """Do every chore once. Raises ``OperationalError`` when the database is away."""
        with self._database.write() as session:
            # Its clock is asked for first: a transaction that had to wait for the database is a gap too.
            seen = read_now(session)
            self._watch_database(seen)
            expired = expire_lapsed(session, by=seen) if self._trusts_database() else ()
        for token in expired:
            log.warning("lease_lapsed", job_id=token.job_id, attempt=token.attempt)
        with self._database.write() as session:
            settle_waiting(session)
        with self._database.write() as session:
            enforce_deadlines(session)
        if self._fallbacks:
            self._fetch_stranded()
        self._forget_lost_hints()
        # Queues without a worker are filled too, so that theirs find the hints when they come.
        for queue in Queue:
            refill(self._database, self._sender, queue)
        self._clean_up()

    def _fetch_stranded(self) -> None:
        with self._database.write() as session:
            moved = move_stranded(session, self._queue, self._fallbacks)
        if moved:
            log.info("jobs_moved_here", queue=self._queue, jobs=moved)

    def _watch_database(self, database_time: datetime) -> None:
        """Note since when the database has been seen without a gap.

        A pause of this very process is a gap too, and so is a jump of the database's clock, as when the machine slept:
        this process's clock stands still meanwhile.
        """
        now = time.monotonic()
        passed, passed_there = now - self._last_round, (database_time - self._last_database_time).total_seconds()
        longest = LEASE.total_seconds() / 2
        if self._database_seen_since is None or passed > longest or abs(passed_there - passed) > longest:
            self._database_seen_since = now
        self._last_round, self._last_database_time = now, database_time

    def _trusts_database(self) -> bool:
        """After an outage every lease has lapsed although the jobs run on: let their workers have time to renew."""
        since = self._database_seen_since
        return since is not None and time.monotonic() - since >= LEASE.total_seconds()

    def _forget_lost_hints(self) -> None:
        """Where fewer hints lie at the broker than are marked, some were lost. All old ones are sent again: a hint that
        comes twice claims nothing the second time."""
        try:
            pending = self._sender.pending(self._queue)
        except BrokerUnavailable:
            return
        with self._database.write() as session:
            lost = count_marks(session, self._queue, older_than=_STALE_AFTER) > pending
            cleared = clear_stale_marks(session, self._queue, older_than=_STALE_AFTER) if lost else 0
        if cleared:
            log.warning("hints_lost", queue=self._queue, hints=cleared)
