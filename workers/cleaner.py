"""Freeing what final jobs left outside, through the runner of a slot that its caller owns."""

import queue
import time
from collections.abc import Mapping

import structlog

from db.cleanup import cleanup_done, cleanup_failed, take_cleanup
from db.engine import Database
from tasks.kind import Kind
from workers.slots import Slot

log = structlog.get_logger()

_LIMIT_SECONDS = 90.0


def clean_up_one(database: Database, kinds: Mapping[str, Kind], queue_name: str, slot: Slot) -> bool:
    """Carry out one clean-up that is due in the queue; False if there was none. One that fails is due again later.

    Raises ``OperationalError``.
    """
    with database.write() as session:
        due = take_cleanup(session, queue_name)
    if due is None:
        return False
    if due.kind not in kinds:
        log.warning("cleanup_of_unknown_kind", job_id=due.job_id, kind=due.kind)
        return True
    slot.runner.send({"type": "clean_up", "job_id": due.job_id, "kind": due.kind, "checkpoint": due.checkpoint})
    problem = _answer(slot, due.job_id)
    if problem is None:
        with database.write() as session:
            cleanup_done(session, due.job_id)
        log.info("cleaned_up", job_id=due.job_id)
    else:
        with database.write() as session:
            cleanup_failed(session, due.job_id)
        log.warning("cleanup_failed", job_id=due.job_id, problem=problem)
    return True


def _answer(slot: Slot, job_id: str) -> str | None:
    """What went wrong, or None. A runner that takes too long is killed."""
    give_up_at = time.monotonic() + _LIMIT_SECONDS
    while (left := give_up_at - time.monotonic()) > 0:
        try:
            message = slot.runner.inbox.get(timeout=left)
        except queue.Empty:
            break
        if message["type"] == "died":
            return slot.runner.how_it_ended()
        if message["type"] == "cleaned" and message["job_id"] == job_id:
            problem: str | None = message["problem"]
            return problem
    slot.runner.kill()
    return f"The clean-up took longer than {_LIMIT_SECONDS:g} s."
