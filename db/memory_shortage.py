"""Which kinds of jobs run out of memory."""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.clock import db_now
from db.rows import AttemptRow, JobRow
from db.states import Reason

_MEMORY = timedelta(days=1)


def short_of_memory(session: Session) -> Mapping[str, int]:
    """How many attempts of each kind ended for want of memory during the last day."""
    rows = session.execute(
        select(JobRow.kind, func.count())
        .join(AttemptRow, AttemptRow.job_id == JobRow.id)
        .where(AttemptRow.ended_at.is_not(None), AttemptRow.ended_at > db_now(-_MEMORY))
        .where(AttemptRow.reason == Reason.OUT_OF_MEMORY)
        .group_by(JobRow.kind)
    )
    return {row[0]: row[1] for row in rows}
