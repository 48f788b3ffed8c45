"""The figures of ``GET /metrics`` are what SQL says, on both databases."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, update

import db.figures
from api.__main__ import make_services
from api.app import make_app
from db.claims import LEASE, Token
from db.clock import db_now, read_now
from db.engine import Database
from db.figures import attempts_ended_after, queue_figures
from db.finish import fail, lose, succeed
from db.owners import make_key
from db.rows import AttemptRow, JobRow
from db.states import Reason
from tests.integration.conftest import Queued
from tests.integration.rows import shift, wait_for
from tests.integration.worker_process import Workers
from tests.servers import ValkeyServer

Sample = Callable[..., float | None]
Started = Callable[..., Token]


@pytest.fixture
def sample(
    database: Database, valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sample]:
    """Asks the API for the one sample of that name with these labels."""
    monkeypatch.setenv("TURNOUT_HOME", str(tmp_path))
    monkeypatch.setenv("TURNOUT_BROKER_URL", valkey.url)
    monkeypatch.setenv("TURNOUT_DATABASE_URL", database.writing_engine.url.render_as_string(hide_password=False))
    with database.write() as session:
        key = make_key(session, owner="root", name="monitoring", admin=True)
    services = make_services()

    with TestClient(make_app(services), headers={"Authorization": f"Bearer {key}"}) as client:

        def ask(name: str, **labels: str) -> float | None:
            answer = client.get("/metrics")
            assert answer.status_code == 200, answer.text
            samples = [found for family in text_string_to_metric_families(answer.text) for found in family.samples]
            values = [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]
            assert len(values) <= 1, values
            return values[0] if values else None

        ask("turnout_jobs", queue="cpu", state="queued")
        yield ask
    services.database.dispose()


def test_after_real_jobs(sample: Sample, workers: Workers, queued: Queued, database: Database) -> None:
    workers.start(slots=2)
    jobs = [queued() for _ in range(3)]
    for job_id in jobs:
        wait_for(database, job_id)
    labels = {"queue": "cpu", "kind": "check_worker"}
    assert sample("turnout_jobs", queue="cpu", state="succeeded") == 3
    assert sample("turnout_jobs", queue="cpu", state="queued") == 0
    assert sample("turnout_jobs", queue="gpu", state="queued") == 0
    assert sample("turnout_queue_workers", queue="cpu") == 1
    assert sample("turnout_queue_slots", queue="cpu") == 2
    assert sample("turnout_queue_workers", queue="h2o") == 0
    assert sample("turnout_attempts_total", **labels, outcome="succeeded") == 3
    assert sample("turnout_attempt_queue_seconds_count", **labels) == 3
    assert sample("turnout_attempt_run_seconds_count", **labels) == 3
    with database.read() as session:
        metrics = [session.get_one(JobRow, job_id).metrics for job_id in jobs]
    for name in ("queue_seconds", "run_seconds"):
        assert sample(f"turnout_attempt_{name}_sum", **labels) == pytest.approx(sum(m[name] for m in metrics))
    # Nothing ran in a batch.
    assert sample("turnout_attempt_batch_size_count", **labels) is None


def test_ages_marks_and_leases(
    sample: Sample, database: Database, submitted: Callable[..., str], started: Started
) -> None:
    assert sample("turnout_queue_oldest_age_seconds", queue="cpu") is None
    assert sample("turnout_lease_next_expiry_seconds", queue="cpu") is None
    shift(database, submitted(), queued_at=-100)
    shift(database, submitted(), queued_at=-40, hinted_at=-1)
    shift(database, started().job_id, lease_expires_at=100)
    shift(database, started().job_id, lease_expires_at=500)
    shift(database, started(queue="h2o").job_id, lease_expires_at=-5)
    assert sample("turnout_queue_oldest_age_seconds", queue="cpu") == pytest.approx(100, abs=20)
    assert sample("turnout_queue_oldest_age_seconds", queue="h2o") is None
    assert sample("turnout_queue_hinted_jobs", queue="cpu") == 1
    assert sample("turnout_jobs", queue="cpu", state="queued") == 2
    assert sample("turnout_jobs", queue="cpu", state="running") == 2
    with database.read() as session:
        cpu, h2o = (queue_figures(session, ["cpu", "h2o"])[queue] for queue in ("cpu", "h2o"))
    assert (cpu.leases_held, cpu.leases_lapsed, h2o.leases_held, h2o.leases_lapsed) == (2, 0, 0, 1)
    lease = LEASE.total_seconds()
    assert h2o.oldest_renewal_age == pytest.approx(lease + 5, abs=20)
    assert sample("turnout_leases_lapsed", queue="h2o") == 1
    assert sample("turnout_lease_next_expiry_seconds", queue="h2o") is None
    assert sample("turnout_lease_next_expiry_seconds", queue="cpu") == pytest.approx(100, abs=30)


def test_every_end_of_an_attempt(sample: Sample, database: Database, started: Started) -> None:
    for number, end in enumerate((_fail, _fail, _lose)):
        with database.write() as session:
            end(session, started(max_attempts=number + 1))
    assert sample("turnout_attempts_total", outcome="failed") == 2
    assert sample("turnout_attempts_total", outcome="lost") == 1
    # What failed says nothing of how long the work takes.
    assert sample("turnout_attempt_run_seconds_count") is None


def test_a_batch_counts_once_whatever_its_size(sample: Sample, database: Database, started: Started) -> None:
    sizes = (4, 4, 4, 4, 2, 2, 1)
    for size in sizes:
        token = started()
        with database.write() as session:
            succeed(session, token, {}, {"batch_size": size})
    assert sample("turnout_batches_total") == pytest.approx(3)
    assert sample("turnout_attempt_batch_size_sum") == sum(sizes)
    assert sample("turnout_attempt_batch_size_bucket", le="2.0") == 3
    assert sample("turnout_attempt_batch_size_bucket", le="4.0") == 7


def test_an_attempt_counts_once_however_late_it_is_seen(sample: Sample, database: Database, started: Started) -> None:
    """Its end is written down before the transaction commits, and others may be counted in between."""
    for seconds_ago in (0, 20):
        token = started()
        with database.write() as session:
            _fail(session, token)
            session.execute(
                update(AttemptRow)
                .where(AttemptRow.job_id == token.job_id)
                .values(ended_at=db_now(timedelta(seconds=-seconds_ago)))
            )
        assert sample("turnout_attempts_total", outcome="failed") == (1 if seconds_ago == 0 else 2)
    assert sample("turnout_attempts_total", outcome="failed") == 2


def test_what_ended_before_the_first_look_is_not_counted(
    database: Database, started: Started, request: pytest.FixtureRequest
) -> None:
    with database.write() as session:
        _fail(session, started())
    sample = request.getfixturevalue("sample")
    assert sample("turnout_attempts_total", outcome="failed") is None


def test_pages_leave_nothing_out(database: Database, started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db.figures, "_PAGE", 2)
    tokens = [started() for _ in range(7)]
    with database.write() as session:
        for token in tokens:
            _fail(session, token)
        # Several at one moment, so that a page ends among them.
        session.execute(update(AttemptRow).values(ended_at=read_now(session)))
    with database.read() as session:
        found = [ended.job_id for ended in attempts_ended_after(session, read_now(session) - timedelta(minutes=1))]
    assert sorted(found) == sorted(token.job_id for token in tokens)


def test_no_table_is_read_whole(sqlite_database: Database) -> None:
    plans: list[str] = []

    @event.listens_for(sqlite_database.reading_engine, "before_cursor_execute")
    def explain(_connection: object, cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        if statement.startswith("SELECT") and (" jobs" in statement or " attempts" in statement):
            rows = cursor.execute("EXPLAIN QUERY PLAN " + statement, parameters).fetchall()  # type: ignore[attr-defined]
            plans.extend(row[3] for row in rows)

    with sqlite_database.read() as session:
        queue_figures(session, ["cpu"])
        list(attempts_ended_after(session, read_now(session)))
    assert any("ix_jobs_oldest" in plan for plan in plans), plans
    assert any("ix_attempts_ended_at" in plan for plan in plans), plans
    scans = [plan for plan in plans if plan.startswith("SCAN") and "COVERING INDEX" not in plan]
    # A select of nothing but other selects reads one row that is no table's.
    assert [plan for plan in scans if plan != "SCAN CONSTANT ROW"] == []


def _fail(session, token: Token) -> None:  # type: ignore[no-untyped-def]
    fail(session, token, reason=Reason.INVALID_INPUT, message="no", retryable=False, metrics={"run_seconds": 5.0})


def _lose(session, token: Token) -> None:  # type: ignore[no-untyped-def]
    lose(session, token, cause="gone")
