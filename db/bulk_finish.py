"""Committing several results in one transaction, with a few statements for all instead of several for each: that is
what makes a durable queue of short jobs about as fast as one that forgets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from db.attempt_writes import Progress, record
from db.claims import Token
from db.clock import db_now
from db.events import NewEvent, Numbered, state_events, write_numbered
from db.finish import succeed
from db.row_updates import RowUpdate
from db.rows import AttemptRow, JobRow
from db.states import Outcome, Reason, State

_END_JOBS = RowUpdate(
    JobRow,
    key=("id",),
    given=("result", "metrics", "progress_message", "last_event_seq"),
    same={
        "state": State.SUCCEEDED,
        "reason": Reason.COMPLETED,
        "error": None,
        "progress_fraction": 1.0,
        "progress_eta_seconds": 0.0,
        "finished_at": bindparam("now"),
        "lease_expires_at": None,
        "hinted_at": None,
    },
)
_END_ATTEMPTS = RowUpdate(
    AttemptRow,
    key=("job_id", "attempt"),
    given=("metrics",),
    same={"ended_at": bindparam("now"), "outcome": Outcome.SUCCEEDED, "reason": Reason.COMPLETED},
)
# On PostgreSQL two that end overlapping sets would deadlock without a common order of locking.
_LOCK = (
    select(JobRow.id, JobRow.attempt, JobRow.state, JobRow.stop_request)
    .add_columns(JobRow.metrics, JobRow.progress_message, JobRow.last_event_seq, db_now().label("now"))
    .where(JobRow.id.in_(bindparam("ids", expanding=True)))
    .order_by(JobRow.id)
    .with_for_update()
)


@dataclass(frozen=True)
class Success:
    """An attempt that ended with a result; ``events`` and ``progress`` are what it reported and is not written yet."""

    token: Token
    result: Mapping[str, Any]
    metrics: Mapping[str, Any]
    events: Sequence[NewEvent] = ()
    progress: Progress | None = None


def succeed_all(session: Session, successes: Sequence[Success]) -> Mapping[Token, State]:
    """What ``db.finish.succeed`` does, for many attempts. Returns their jobs' new states; those of attempts that are no
    longer running are missing, and nothing was written for them."""
    found = {row.id: row for row in _lock(session, [success.token.job_id for success in successes])}
    running = [s for s in successes if _runs(found.get(s.token.job_id), s.token)]
    plain = [success for success in running if found[success.token.job_id].stop_request is None]
    if plain:
        _end(session, plain, found)
    ended = {success.token: State.SUCCEEDED for success in plain}
    for success in running:
        if success.token not in ended:
            ended[success.token] = _end_as_asked(session, success)
    return ended


def _lock(session: Session, job_ids: Sequence[str]) -> Sequence[Row[Any]]:
    return session.connection().execute(_LOCK, {"ids": list(job_ids)}).all()


def _runs(job: Row[Any] | None, token: Token) -> bool:
    return job is not None and job.attempt == token.attempt and job.state == State.RUNNING


def _end(session: Session, successes: Sequence[Success], found: Mapping[str, Row[Any]]) -> None:
    now = max(job.now for job in found.values())
    jobs, attempts, numbered = [], [], []
    for success in successes:
        token, job = success.token, found[success.token.job_id]
        told = [*success.events, *state_events(State.SUCCEEDED, token.attempt, reason=Reason.COMPLETED)]
        last = job.last_event_seq + len(told)
        numbered.append(Numbered(token.job_id, token.attempt, last, now, told))
        jobs.append(
            {
                "id": token.job_id,
                "result": dict(success.result),
                "metrics": {**job.metrics, **success.metrics},
                "progress_message": job.progress_message if success.progress is None else success.progress.message,
                "last_event_seq": last,
            }
        )
        attempts.append({"job_id": token.job_id, "attempt": token.attempt, "metrics": dict(success.metrics)})
    _END_JOBS.run(session, jobs, now=now)
    _END_ATTEMPTS.run(session, attempts, now=now)
    write_numbered(session, numbered)


def _end_as_asked(session: Session, success: Success) -> State:
    record(session, success.token, success.events, success.progress)
    return succeed(session, success.token, success.result, success.metrics)
