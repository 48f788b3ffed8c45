"""What is looked up often is looked up in an index, however many rows there are."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from db.bulk import BulkKey
from db.claims import Token
from db.engine import Database
from db.group import Submission, submit_group
from db.leases import renew
from db.retention import forget_events, forget_idempotency_keys, forget_jobs
from db.stops import requests_of
from db.submit import NewJob
from tests.integration.conftest import make_owner

TOKENS = [Token("a job", 1), Token("another", 2)]


@pytest.fixture
def plans(sqlite_database: Database) -> Iterator[list[str]]:
    """How SQLite carries out what a session of this database asks for; without statistics it goes by the indexes."""
    found: list[str] = []

    def explain(_connection: object, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "WITH", "UPDATE", "DELETE")):
            rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            found.extend(row[3] for row in rows)

    event.listen(sqlite_database.writing_engine, "before_cursor_execute", explain)
    yield found
    event.remove(sqlite_database.writing_engine, "before_cursor_execute", explain)


def scanned(plans: list[str], *tables: str) -> list[str]:
    return [plan for plan in plans if any(plan.startswith(f"SCAN {table}") for table in tables)]


def test_attempts_by_their_tokens(sqlite_database: Database, plans: list[str]) -> None:
    with sqlite_database.write() as session:
        renew(session, "a worker", TOKENS)
        requests_of(session, TOKENS)
    assert [plan for plan in plans if " jobs " in plan] != []
    assert scanned(plans, "jobs") == []


def test_idempotency_keys(sqlite_database: Database, plans: list[str]) -> None:
    owner_id = make_owner(sqlite_database, "ada")
    new = NewJob(owner_id=owner_id, kind="check_worker", queue="cpu", spec={}, max_attempts=1)
    together = [Submission(new, BulkKey("a", "1")), Submission(new, BulkKey("b", "2"))]
    with sqlite_database.write() as session:
        submit_group(session, together, 10)
    assert [plan for plan in plans if "idempotency_keys" in plan] != []
    assert scanned(plans, "idempotency_keys", "jobs") == []


def test_what_is_old_is_deleted_by_its_key(sqlite_database: Database, plans: list[str]) -> None:
    owner_id = make_owner(sqlite_database, "ada")
    new = NewJob(owner_id=owner_id, kind="check_worker", queue="cpu", spec={}, max_attempts=1)
    with sqlite_database.write() as session:
        submit_group(session, [Submission(new, BulkKey(key, "1")) for key in "abc"], 10)
    _all_final_and_old(sqlite_database)
    plans.clear()
    with sqlite_database.write() as session:
        assert forget_idempotency_keys(session).rows == 3
        assert forget_events(session, timedelta(days=1)).rows == 3
        assert forget_jobs(session, timedelta(days=1)).rows == 3
    assert scanned(plans, "idempotency_keys", "events", "jobs") == []


def _all_final_and_old(database: Database) -> None:
    with database.write() as session:
        for statement in (
            "UPDATE jobs SET state = 'succeeded', finished_at = '2020-01-01 00:00:00.000'",
            "UPDATE events SET created_at = '2020-01-01 00:00:00.000'",
            "UPDATE idempotency_keys SET created_at = '2020-01-01 00:00:00.000'",
        ):
            _run(session, statement)


def _run(session: Session, statement: str) -> None:
    session.connection().exec_driver_sql(statement)
