"""Keeps the leases of a worker's running jobs. It lives in the supervising process, where no ML code can hold the
interpreter, and vouches for a job while the runner's *process* lives."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

import structlog
from sqlalchemy.exc import OperationalError

from db.claims import LEASE, Token
from db.engine import Database
from db.leases import renew
from db.states import StopRequest
from db.stops import requests_of
from db.workers import seen

log = structlog.get_logger()

RENEW_EVERY = timedelta(seconds=2)
_RETRY_SECONDS = 0.5
# The runner stops its side effects this much before the database would give the job away.
_MARGIN = timedelta(seconds=1)


class Holder(Protocol):
    """Who runs an attempt. The calls come from the keeper's thread and must return at once."""

    def is_alive(self) -> bool: ...

    def lease_prolonged(self, until: float) -> None:
        """The lease surely holds until this moment of the machine's monotonic clock."""

    def asked(self, request: StopRequest) -> None:
        """The job was asked to end; may be told more than once."""

    def lease_lost(self) -> None:
        """Somebody else ended the attempt; nothing more may be done for it."""

    def reports_refused(self) -> None:
        """The database refuses what the attempt reports, and would again."""


def lease_until(asked_at: float) -> float:
    """Until when a lease surely holds that was asked for at ``asked_at`` (monotonic seconds)."""
    return asked_at + (LEASE - _MARGIN).total_seconds()


class LeaseKeeper:
    """Renews all held leases in one statement every two seconds, which also tells what was asked of their jobs. Woken,
    it looks for that at once."""

    def __init__(
        self,
        database: Database,
        worker_id: str,
        models: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
    ) -> None:
        """``models`` tells what the worker's runners keep loaded."""
        self._models = models
        self._database = database
        self._worker_id = worker_id
        self._holders: dict[Token, Holder] = {}
        self._lock = threading.Lock()
        self._woken = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._loop, name="keep-leases", daemon=True).start()

    def hold(self, token: Token, holder: Holder) -> None:
        with self._lock:
            self._holders[token] = holder

    def release(self, token: Token) -> None:
        with self._lock:
            self._holders.pop(token, None)

    def held(self) -> Collection[Token]:
        with self._lock:
            return tuple(self._holders)

    def wake(self, job_ids: Collection[str]) -> None:
        """Something may have been asked of these jobs: have a look soon, if one of them is held. Returns at once."""
        with self._lock:
            held = any(token.job_id in job_ids for token in self._holders)
        if held:
            self._woken.set()

    def unwritable(self, token: Token) -> None:
        """Tell the holder that what its attempt reports can't be stored."""
        with self._lock:
            holder = self._holders.get(token)
        if holder is not None:
            holder.reports_refused()

    def lost(self, token: Token) -> None:
        """Tell the holder that its attempt was ended, if it still holds it."""
        with self._lock:
            holder = self._holders.pop(token, None)
        if holder is not None:
            log.warning("lease_lost", job_id=token.job_id, attempt=token.attempt)
            holder.lease_lost()

    def _loop(self) -> None:
        renew_at = time.monotonic()
        while True:
            if self._woken.wait(max(0.0, renew_at - time.monotonic())):
                self._woken.clear()
                self._look()
            if time.monotonic() >= renew_at:
                pause = self._renew_or_not()
                renew_at = time.monotonic() + pause

    def _look(self) -> None:
        """Pass on what was asked, without the write that a renewal is."""
        alive = self._alive()
        try:
            with self._database.read() as session:
                requests = requests_of(session, alive.keys())
        except OperationalError:
            log.warning("requests_not_read")
            return
        for token, request in requests.items():
            alive[token].asked(request)

    def _renew_or_not(self) -> float:
        """Seconds until the next renewal is due."""
        try:
            self._renew()
        except OperationalError:
            log.warning("leases_not_renewed")
            return _RETRY_SECONDS
        return RENEW_EVERY.total_seconds()

    def _alive(self) -> Mapping[Token, Holder]:
        with self._lock:
            return {token: holder for token, holder in self._holders.items() if holder.is_alive()}

    def _renew(self) -> None:
        alive = self._alive()
        asked_at = time.monotonic()
        with self._database.write() as session:
            seen(session, self._worker_id, self._models())
            kept = renew(session, self._worker_id, alive.keys())
        self._pass_on(alive, kept, lease_until(asked_at))

    def _pass_on(self, held: Mapping[Token, Holder], kept: Mapping[Token, str | None], until: float) -> None:
        for token, holder in held.items():
            if token not in kept:
                self.lost(token)
                continue
            holder.lease_prolonged(until)
            request = kept[token]
            if request is not None:
                holder.asked(StopRequest(request))
