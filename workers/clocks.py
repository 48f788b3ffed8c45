"""The clocks of an attempt, on the machine's monotonic clock: the time limit, the stall limit and the deadline."""

import time
from datetime import UTC, timedelta

from db.rows import JobRow
from tasks.kind import Kind
from workers.endings import Why


class Clocks:
    """Says which limit an attempt has passed. It begins with its making."""

    def __init__(self, job: JobRow, kind: Kind) -> None:
        limit = kind.time_limit if job.time_limit_seconds is None else timedelta(seconds=job.time_limit_seconds)
        self._stall_limit = kind.stall_limit
        self.wording = {
            Why.TIMED_OUT: f"The attempt ran longer than its time limit of {limit.total_seconds():g} s.",
            Why.STALLED: f"The job showed no progress for {(kind.stall_limit or limit).total_seconds():g} s.",
            Why.TOO_LATE: "The job's deadline passed while it was running.",
        }
        now = time.monotonic()
        self._times_out_at = now + limit.total_seconds()
        self._deadline = _deadline(job, now)
        self._last_progress = now

    def note_progress(self) -> None:
        self._last_progress = time.monotonic()

    def passed(self) -> Why | None:
        """The limit that is passed, if one is."""
        now = time.monotonic()
        if self._deadline is not None and now > self._deadline:
            return Why.TOO_LATE
        if now > self._times_out_at:
            return Why.TIMED_OUT
        if self._stall_limit is not None and now > self._last_progress + self._stall_limit.total_seconds():
            return Why.STALLED
        return None


def _deadline(job: JobRow, now: float) -> float | None:
    """Both moments are the database's, so it does not matter how its clock differs from this machine's."""
    if job.deadline_at is None or job.started_at is None:
        return None
    left = job.deadline_at.astimezone(UTC) - job.started_at.astimezone(UTC)
    return now + left.total_seconds()
