"""What a job left outside (in a cluster) and has to be freed once the job is final."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from db.clock import db_now
from db.rows import JobRow
from db.states import OPEN_STATES

_EXCLUSIVE_FOR = timedelta(minutes=2)
_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=10)


@dataclass(frozen=True)
class Cleanup:
    """A final job whose kind has to free something, and the checkpoint that tells what."""

    job_id: str
    kind: str
    checkpoint: dict[str, Any]


def take_cleanup(session: Session, queue: str) -> Cleanup | None:
    """One clean-up that is due in this queue, reserved for its taker for two minutes; after that others may try."""
    job = session.scalar(
        select(JobRow)
        .where(
            JobRow.queue == queue,
            # SQLite takes the index of what is to be cleaned up only for a condition in that index's own words, and
            # with the final states by name another one, which leads through every job that ever ended.
            text("jobs.cleanup_needed"),
            JobRow.state.not_in(OPEN_STATES),
            (JobRow.cleanup_after.is_(None)) | (JobRow.cleanup_after < db_now()),
        )
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if job is None:
        return None
    job.cleanup_after = db_now(_EXCLUSIVE_FOR)
    session.flush()
    return Cleanup(job.id, job.kind, job.checkpoint or {})


def cleanup_failed(session: Session, job_id: str) -> None:
    """Let it be tried again after a pause, which doubles with each failure."""
    job = session.get_one(JobRow, job_id, with_for_update=True, populate_existing=True)
    # The exponent is bounded, since a cluster may be away for years.
    pause = min(_FIRST_PAUSE * 2 ** min(job.cleanup_failures, 10), _LONGEST_PAUSE)
    job.cleanup_failures += 1
    job.cleanup_after = db_now(pause)
    session.flush()


def cleanup_done(session: Session, job_id: str) -> None:
    done = {"cleanup_needed": False, "cleanup_after": None, "cleanup_failures": 0}
    session.execute(update(JobRow).where(JobRow.id == job_id).values(**done))
