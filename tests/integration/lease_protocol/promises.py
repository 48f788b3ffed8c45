"""What must hold of the database after every step, whatever came before it."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, select

from db.engine import Database
from db.finish import MAX_LOSSES
from db.rows import ArtifactRow, AttemptRow, EventRow, JobRow, LeaderboardEntryRow
from db.states import FINAL_STATES, State
from tests.integration.lease_protocol.model import Job, Jobs

Values = dict[str, Any]

_JOBS = select(JobRow.__table__).order_by(JobRow.id)
_ATTEMPTS = select(
    AttemptRow.job_id,
    AttemptRow.attempt,
    AttemptRow.worker_id,
    AttemptRow.outcome,
    AttemptRow.reason,
    AttemptRow.ended_at.is_not(None).label("has_ended"),
).order_by(AttemptRow.job_id, AttemptRow.attempt)
_EVENTS = select(EventRow.job_id, EventRow.seq, EventRow.attempt, EventRow.type, EventRow.data).order_by(
    EventRow.job_id, EventRow.seq
)
_ENTRIES = select(LeaderboardEntryRow.__table__).order_by(LeaderboardEntryRow.job_id, LeaderboardEntryRow.rank)
_ARTIFACTS = select(ArtifactRow.job_id, ArtifactRow.attempt, ArtifactRow.name, ArtifactRow.key).order_by(ArtifactRow.id)


@dataclass(frozen=True)
class Everything:
    """All that the database says of jobs."""

    jobs: dict[str, Values]
    attempts: dict[str, list[Values]]
    events: dict[str, list[Values]]
    entries: dict[str, list[Values]]
    artifacts: dict[str, list[Values]]

    def of(self, job_id: str) -> list[object]:
        return [part[job_id] for part in vars(self).values()]


def read_everything(database: Database) -> Everything:
    with database.reading_engine.connect() as connection:
        jobs = {row["id"]: dict(row) for row in connection.execute(_JOBS).mappings()}
        queries = (_ATTEMPTS, _EVENTS, _ENTRIES, _ARTIFACTS)
        return Everything(jobs, *(_by_job(connection, query) for query in queries))


def _by_job(connection: Connection, query: Select[Any]) -> dict[str, list[Values]]:
    rows: dict[str, list[Values]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        rows[row["job_id"]].append(dict(row))
    return rows


def check_promises(seen: Everything) -> None:
    """Of every job alone, without knowing what was done."""
    for job_id, job in seen.jobs.items():
        attempts, events = seen.attempts[job_id], seen.events[job_id]
        assert [row["attempt"] for row in attempts] == list(range(1, job["attempt"] + 1)), "attempts without gaps"
        current = [row["attempt"] for row in attempts if row["outcome"] == "running"]
        assert current == ([job["attempt"]] if job["state"] == State.RUNNING else []), "one current attempt"
        assert all(row["has_ended"] == (row["outcome"] != "running") for row in attempts)
        assert [row["seq"] for row in events] == list(range(1, job["last_event_seq"] + 1)), "events without gaps"
        is_final = job["state"] in FINAL_STATES
        finals = [number for number, row in enumerate(events, 1) if row["type"] == "final"]
        assert finals == ([len(events)] if is_final else []), "one final event, the last"
        assert (job["finished_at"] is not None) == is_final
        assert (job["result"] is not None) == (job["state"] == State.SUCCEEDED), "a result comes with success"
        assert [row["outcome"] for row in attempts].count("succeeded") == (job["state"] == State.SUCCEEDED)
        assert job["hinted_at"] is None or job["state"] == State.QUEUED, "marks on queued jobs only"
        assert (job["lease_expires_at"] is not None) == (job["state"] == State.RUNNING), "who runs has a lease"
        assert job["worker_id"] is not None or job["state"] != State.RUNNING
        assert job["losses"] <= MAX_LOSSES
        assert job["losses"] < MAX_LOSSES or is_final
        assert job["failures"] <= job["max_attempts"]
        assert job["failures"] < job["max_attempts"] or is_final
        assert not (job["state"] == State.SUCCEEDED and job["stop_request"] in ("cancel", "deadline"))


def check_against(model: Jobs, seen: Everything) -> None:
    """No accepted job is lost, and each is what it should be."""
    assert seen.jobs.keys() == model.by_id.keys()
    for job in model.all():
        _check_job(job, seen)


def _check_job(job: Job, seen: Everything) -> None:
    row = seen.jobs[job.id]
    told_apart = {"after", "outcomes", "events", "run_at", "worker_id"}
    expected = {name: value for name, value in vars(job).items() if name not in told_apart}
    assert {name: row[name] for name in expected} == expected
    if job.state == State.RUNNING:
        assert row["worker_id"] == job.worker_id
    if job.state == State.WAITING:
        assert row["run_at"] == job.run_at
    assert [(one["outcome"], one["reason"]) for one in seen.attempts[job.id]] == job.outcomes
    events = [(one["type"], one["attempt"], one["data"].get("state")) for one in seen.events[job.id]]
    assert events == job.events
