"""Celery's remote control on this worker: what Flower's buttons and ``celery control`` do here.

Celery's own commands would act on its tasks, which are hints. Ending one means ending its job, in SQL. What would
change how a worker takes hints is refused: slots, queue and limits are not Celery's to decide.
"""

import re
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any

import structlog
from celery.worker.control import Panel
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from db.engine import Database
from db.jobs import find
from db.states import State, StopRequest
from db.stops import AlreadyFinal, request_stop
from tasks.wakes import WAKE

log = structlog.get_logger()

Reply = Mapping[str, str]

_RETRY_SECONDS = 0.5
# Celery's main thread waits so long, and Celery's client one second.
_ANSWER_SECONDS = 0.5
_JOB_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_ONE_QUEUE = "A Turnout worker takes jobs of the one queue that it was started with; shut it down to pause it."
_SLOTS = "A Turnout worker has one thread for each of its slots; start it with another --slots."
_LIMITS = "Limits belong to jobs and kinds: submit with time_limit_seconds, or change the kind."
_REFUSED = {
    "add_consumer": _ONE_QUEUE,
    "cancel_consumer": _ONE_QUEUE,
    "pool_grow": _SLOTS,
    "pool_shrink": _SLOTS,
    "pool_restart": _SLOTS,
    "autoscale": _SLOTS,
    "rate_limit": _LIMITS,
    "time_limit": _LIMITS,
    "revoke_by_stamped_headers": "Turnout stamps no headers; revoke jobs by their ids.",
}


class RemoteControl:
    """The commands of one worker. Celery calls them in its main thread, which must not wait for the database."""

    def __init__(self, database: Database, wake: Callable[[Collection[str]], None]) -> None:
        """``wake`` has the worker look at what is asked of the jobs that it runs."""
        self._database = database
        self._wake = wake
        self._cancelling = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cancel")
        self._last: Future[Reply] | None = None

    def install(self) -> None:
        """Take the place of Celery's commands, in this process."""
        Panel.register(name=WAKE, visible=False)(self._heed_wake)
        Panel.data |= {name: _refusal(text) for name, text in _REFUSED.items()}
        Panel.data |= {"revoke": self._revoke, "terminate": self._revoke, "shutdown": _shut_down}

    def _heed_wake(self, _state: Any, job_ids: Sequence[str] = (), **_ignored: Any) -> Reply:
        self._wake(job_ids)
        return {"ok": "looking"}

    def _revoke(self, _state: Any, task_id: Any = None, **_ignored: Any) -> Reply:
        """Cancel jobs as their owner would; a job's task id is its id. Whether and with which signal to terminate is
        not asked: a running job is ended either way. Every worker hears this and does the same; the first one wins.

        Celery's own list of revoked ids stays empty: it would drop hints by itself.
        """
        ids = [task_id] if isinstance(task_id, str) else list(task_id or ())
        behind = self._last is not None and not self._last.done()
        self._last = self._cancelling.submit(self._cancel, ids)
        if not behind:
            try:
                return self._last.result(timeout=_ANSWER_SECONDS)
            except NotYet:
                log.warning("cancel_waits_for_the_database", jobs=len(ids))
        self._last.add_done_callback(_tell_what_broke)
        return {"ok": "The database does not answer at once; the jobs will be cancelled when it does."}

    def _cancel(self, ids: Sequence[Any]) -> Reply:
        known = [job_id for job_id in dict.fromkeys(ids) if isinstance(job_id, str) and _JOB_ID.fullmatch(job_id)]
        done, refused = [], [f"{job_id!r:.80} is no job's id" for job_id in ids if job_id not in known]
        for job_id in known:
            try:
                done.append(self._cancel_one(job_id))
            except LookupError:
                refused.append(f"there is no job {job_id}")
            except AlreadyFinal as exc:
                refused.append(f"{job_id} is {exc.args[0]} already")
        self._wake(known)
        sentence = "; ".join([*done, *refused]) or "no job's id was given"
        return {"ok" if done else "error": sentence}

    def _cancel_one(self, job_id: str) -> str:
        """Waits for a database that is away."""
        while True:
            try:
                with self._database.write() as session:
                    state = _request_cancel(session, job_id)
            except OperationalError:
                log.warning("cancel_not_written", job_id=job_id)
                time.sleep(_RETRY_SECONDS)
            else:
                log.info("job_revoked", job_id=job_id, state=state)
                return f"{job_id} is {state}" if state.is_final else f"{job_id} was asked to end"


def _tell_what_broke(cancelled: "Future[Reply]") -> None:
    """Nobody waits for it any more, so only the log can say so."""
    if cancelled.exception() is not None:
        log.error("cancel_broke", exc_info=cancelled.exception())


def _request_cancel(session: Session, job_id: str) -> State:
    job = find(session, job_id, owner_id=None)
    if job is None:
        raise LookupError(job_id)
    return request_stop(session, job, StopRequest.CANCEL)


def _shut_down(_state: Any, **_ignored: Any) -> Reply:
    """As SIGTERM does: the jobs are handed back. Celery's own command would wait for their ends."""
    signal.raise_signal(signal.SIGTERM)
    return {"ok": "The worker hands its jobs back and ends."}


def _refusal(text: str) -> Callable[..., Reply]:
    return lambda _state, **_ignored: {"error": text}
