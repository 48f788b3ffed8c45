"""A migrated database of each test's own, and real servers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from db import owners
from db.claims import Claimant, Token, claim
from db.engine import Database
from db.schema import upgrade
from db.submit import NewJob, submit
from db.workers import register


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'turnout.db'}", durable=True)
    upgrade(database)
    yield database
    database.dispose()


@pytest.fixture
def owner_id(database: Database) -> str:
    with database.write() as session:
        holder = owners.holder_of(session, owners.make_key(session, owner="ada", name="first"))
    assert holder is not None
    return holder.owner_id


@pytest.fixture
def claimant(database: Database) -> Claimant:
    with database.write() as session:
        worker_id = register(session, name="cpu-0", hostname="here", pid=1, queue="cpu", slots=1)
    return Claimant(worker_id, "cpu-0")


@pytest.fixture
def submitted(database: Database, owner_id: str) -> Callable[..., str]:
    """Submit a job with the given fields of ``NewJob``; returns its id."""

    def submit_job(**fields: object) -> str:
        defaults = {"owner_id": owner_id, "kind": "check_worker", "queue": "cpu", "spec": {}, "max_attempts": 3}
        with database.write() as session:
            return submit(session, NewJob(**{**defaults, **fields})).id  # type: ignore[arg-type]

    return submit_job


@pytest.fixture
def started(database: Database, claimant: Claimant, submitted: Callable[..., str]) -> Callable[..., Token]:
    """Submit and claim a job; returns the token of its attempt."""

    def start(**fields: object) -> Token:
        job_id = submitted(**fields)
        with database.write() as session:
            (job,) = claim(session, [job_id], claimant)
        return Token(job.id, job.attempt)

    return start
