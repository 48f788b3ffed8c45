"""Looking at rows, and moving a job's clocks, from tests."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import update

from db.clock import db_now
from db.engine import Database
from db.events import events_after
from db.jobs import attempts_of
from db.rows import JobRow, WorkerRow
from db.states import FINAL_STATES, State, StopRequest
from db.stops import request_stop
from db.workers import live_workers
from tests.waiting import until


def job_row(database: Database, job_id: str) -> JobRow:
    with database.read() as session:
        return session.get_one(JobRow, job_id)


def shift(database: Database, job_id: str, **seconds: float) -> None:
    """Set time columns of a job to so many seconds from now."""
    moments = {name: db_now(timedelta(seconds=value)) for name, value in seconds.items()}
    with database.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job_id).values(**moments))


def ask(database: Database, job_id: str, request: StopRequest) -> State:
    """What the API does for a cancel and a stop; returns the job's state after it."""
    with database.write() as session:
        return request_stop(session, session.get_one(JobRow, job_id), request)


def story(database: Database, job_id: str) -> list[tuple[int, str, str | None]]:
    """The job's attempts: number, outcome, reason."""
    with database.read() as session:
        return [(row.attempt, row.outcome, row.reason) for row in attempts_of(session, job_id)]


def causes(database: Database, job_id: str) -> list[str | None]:
    """What ended each of the job's attempts."""
    with database.read() as session:
        return [row.cause for row in attempts_of(session, job_id)]


def all_workers(database: Database) -> Sequence[WorkerRow]:
    """Those that live, by name."""
    with database.read() as session:
        return live_workers(session)


def event_types(database: Database, job_id: str) -> list[str]:
    with database.read() as session:
        rows = events_after(session, job_id, 0, 1000)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    return [row.type for row in rows]


def wait_for(database: Database, job_id: str, *states: State) -> JobRow:
    def there() -> JobRow | None:
        job = job_row(database, job_id)
        return job if job.state in (states or FINAL_STATES) else None

    return until(there, 60, what=f"job {job_id} in {states or 'a final state'}")
