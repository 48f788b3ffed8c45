"""Waiting for the end of a job, however long it takes and whatever happens to the server meanwhile."""

import math
import time

from turnout.errors import ServerTrouble, ServerUnreachable, WaitedTooLong
from turnout.parsing import parse_job
from turnout.records import JobRecord
from turnout.server import Server
from turnout.steps import Pause, Plan
from turnout.transport import FOLLOWING_PATIENCE_SECONDS, call, get, is_passing, patient, segment, understood

_LONGEST_POLL_SECONDS = 30
# Between two looks when less than a second is left, which the server can't be asked to wait.
_SHORTEST_POLL_SECONDS = 0.2
# What an answer may take beside the time that it was asked to wait.
_ANSWER_SECONDS = 10.0


def wait(server: Server, job_id: str, timeout_seconds: float | None) -> Plan[JobRecord]:
    """The job once it is final. Connections that break and a server that restarts are outlasted, each for up to
    ``FOLLOWING_PATIENCE_SECONDS``. Raises ``WaitedTooLong``."""
    give_up = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
    record: JobRecord | None = None
    while True:
        left = max(0.0, give_up - time.monotonic())
        poll = min(_LONGEST_POLL_SECONDS, math.floor(min(left, _LONGEST_POLL_SECONDS)))
        request = get(f"/v1/jobs/{segment(job_id)}", {"wait": poll}, read_seconds=poll + _ANSWER_SECONDS)
        patience_seconds = min(left, FOLLOWING_PATIENCE_SECONDS)
        try:
            answer = yield from call(server, request, repeatable=True, patience=patient(patience_seconds))
        except (ServerUnreachable, ServerTrouble) as exc:
            # The time ran out while the server was away, which says nothing of the job.
            if record is None or patience_seconds == FOLLOWING_PATIENCE_SECONDS or not is_passing(exc):
                raise
            raise _too_long(record, timeout_seconds) from exc
        record = understood(server, answer, parse_job)
        if record.is_final:
            return record
        left = give_up - time.monotonic()
        if left <= 0:
            raise _too_long(record, timeout_seconds)
        if left < 1:
            yield Pause(min(left, _SHORTEST_POLL_SECONDS))


def _too_long(record: JobRecord, timeout_seconds: float | None) -> WaitedTooLong:
    return WaitedTooLong(f"Job {record.id} is still {record.state} after {timeout_seconds:g} s; it goes on.")
