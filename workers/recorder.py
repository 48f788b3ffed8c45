"""Writes what running jobs report, grouped: one transaction per tenth of a second for all of a worker's jobs."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from db.attempt_writes import Board, Progress, record, replace_leaderboard
from db.claims import Fenced, Token
from db.engine import Database
from db.events import NewEvent
from db.states import EventType

log = structlog.get_logger()

_EVERY_SECONDS = 0.1
_RETRY_SECONDS = 0.5
_MOST_EVENTS = 10_000


@dataclass
class Reports:
    """What one attempt reported and is not written yet."""

    events: list[NewEvent] = field(default_factory=list)
    progress: Progress | None = None
    board: Board | None = None

    def write(self, session: Session, token: Token) -> None:
        """Raises ``Fenced``."""
        record(session, token, self.events, self.progress)
        if self.board is not None:
            replace_leaderboard(session, token, self.board)


class Recorder:
    """Collects reports by attempt. Those of an attempt that was ended are dropped, and ``on_fenced`` is told; so are
    those that the database refuses, and ``on_refused`` is told."""

    def __init__(
        self, database: Database, on_fenced: Callable[[Token], None], on_refused: Callable[[Token], None]
    ) -> None:
        self._database = database
        self._on_fenced = on_fenced
        self._on_refused = on_refused
        self._pending: dict[Token, Reports] = {}
        self._lock = threading.Condition()
        # Held from taking reports out until they are committed, so that no two writers swap their order.
        self._writing = threading.Lock()

    def start(self) -> None:
        threading.Thread(target=self._loop, name="record", daemon=True).start()

    def add(
        self, token: Token, *events: NewEvent, progress: Progress | None = None, board: Board | None = None
    ) -> None:
        """Keep a report until the next write. Waits while an attempt has thousands of events that can't be written."""
        with self._lock:
            self._lock.wait_for(lambda: len(self._pending.get(token, Reports()).events) < _MOST_EVENTS)
            pending = self._pending.setdefault(token, Reports())
            pending.events += events
            if progress is not None:
                pending.progress = progress
                event = NewEvent(EventType.PROGRESS, vars(progress))
                if pending.events and pending.events[-1].type is EventType.PROGRESS:
                    pending.events[-1] = event
                else:
                    pending.events.append(event)
            if board is not None:
                pending.board = board

    def withdraw(self, token: Token) -> Reports | None:
        """Take an attempt's last reports out, to be written ahead of its ending in the same transaction."""
        with self._writing:
            return self._take(token).get(token)

    def put_back(self, token: Token, reports: Reports) -> None:
        """Undo ``withdraw``: they come before what was reported since."""
        self._put_back({token: reports})

    def _loop(self) -> None:
        while True:
            time.sleep(_EVERY_SECONDS)
            with self._writing:
                batch = self._take()
                if not batch:
                    continue
                written = self._write_or_put_back(batch)
            if not written:
                time.sleep(_RETRY_SECONDS)

    def _write_or_put_back(self, batch: dict[Token, Reports]) -> bool:
        try:
            for token in self._write_all(batch):
                self._on_fenced(token)
        except OperationalError:
            log.warning("reports_not_written", attempts=len(batch))
            self._put_back(batch)
            return False
        except (SQLAlchemyError, ValueError) as exc:
            if len(batch) > 1:
                # One attempt's reports spoil the whole: find out whose.
                apart = [self._write_or_put_back({token: pending}) for token, pending in batch.items()]
                return all(apart)
            (token,) = batch
            log.error("reports_refused", job_id=token.job_id, attempt=token.attempt, error=type(exc).__name__)
            self._on_refused(token)
        return True

    def _write_all(self, batch: dict[Token, Reports]) -> list[Token]:
        fenced = []
        with self._database.write() as session:
            # A common order of locking keeps two workers on PostgreSQL from waiting for each other.
            for token in sorted(batch, key=lambda token: token.job_id):
                try:
                    batch[token].write(session, token)
                except Fenced:
                    fenced.append(token)
        return fenced

    def _take(self, only: Token | None = None) -> dict[Token, Reports]:
        with self._lock:
            if only is not None:
                taken = {only: self._pending.pop(only)} if only in self._pending else {}
            else:
                taken, self._pending = self._pending, {}
            self._lock.notify_all()
            return taken

    def _put_back(self, batch: dict[Token, Reports]) -> None:
        with self._lock:
            for token, earlier in batch.items():
                later = self._pending.get(token)
                if later is not None:
                    earlier.events += later.events
                    earlier.progress = later.progress or earlier.progress
                    earlier.board = later.board or earlier.board
                self._pending[token] = earlier
