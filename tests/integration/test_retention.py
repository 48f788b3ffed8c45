"""What is old goes, with its files; what somebody may still need stays."""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from db import attempt_writes, files, finish
from db import retention as batches
from db.claims import Token
from db.clock import db_now
from db.engine import Database
from db.events import NewEvent
from db.rows import EventRow, FileRow, IdempotencyRow, JobRow, LeaderboardEntryRow, Row, WorkerRow
from db.settings import DatabaseSettings
from db.states import EventType
from db.store import Store
from db.submit import NewJob, submit_once
from tests.integration.rows import job_row, shift
from workers.retention import forget_old

_DAY = timedelta(days=1).total_seconds()
Start = Callable[..., Token]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def forget(database: Database, store: Store, tmp_path: Path) -> Callable[[], None]:
    """Forget with the default limits: 30 days for jobs, 7 for events."""
    return lambda: forget_old(database, store, DatabaseSettings(home=tmp_path))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_JOBS_AT_ONCE", 2)
    monkeypatch.setattr(batches, "_ROWS_AT_ONCE", 3)


def count(database: Database, row: type[Row]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(row)) or 0


def end(database: Database, token: Token, *, days_ago: float) -> str:
    with database.write() as session:
        finish.succeed(session, token, {}, {})
    shift(database, token.job_id, finished_at=-days_ago * _DAY)
    age(database, EventRow, days_ago)
    return token.job_id


def age(database: Database, row: type[EventRow] | type[IdempotencyRow], days: float) -> None:
    with database.write() as session:
        session.execute(update(row).values(created_at=db_now(timedelta(days=-days))))


def remains(database: Database, job_id: str) -> bool:
    with database.read() as session:
        return session.get(JobRow, job_id) is not None


def put(store: Store, key: str, *, days_old: float = 0) -> Path:
    with store.writing(key) as upload:
        upload.write(b"data")
    path = store.path(key)
    moment = time.time() - days_old * _DAY
    os.utime(path, (moment, moment))
    return path


def test_an_old_job_goes_with_all_that_belongs_to_it(
    database: Database, store: Store, started: Start, forget: Callable[[], None]
) -> None:
    for _ in range(5):
        token = started()
        key = f"jobs/{token.job_id}/1/a"
        put(store, key)
        with database.write() as session:
            new = attempt_writes.NewArtifact("a.png", "image/png", 4, "0" * 64, key)
            attempt_writes.add_artifact(session, token, new)
            board = attempt_writes.Board(1, "auc", True, [("m", "GBM", {"auc": 1.0})])
            attempt_writes.replace_leaderboard(session, token, board)
        end(database, token, days_ago=31)
    forget()
    assert [count(database, row) for row in (JobRow, EventRow, LeaderboardEntryRow)] == [0, 0, 0]
    assert list(store.path("jobs").iterdir()) == []


def test_a_young_job_stays_without_its_old_events(
    database: Database, started: Start, forget: Callable[[], None]
) -> None:
    token = started()
    with database.write() as session:
        attempt_writes.record(session, token, [NewEvent(EventType.LOG, {})] * 20)
    end(database, token, days_ago=8)
    young = end(database, started(), days_ago=0)
    shift(database, token.job_id, finished_at=-8 * _DAY)
    with database.write() as session:
        old = update(EventRow).where(EventRow.job_id == token.job_id)
        session.execute(old.values(created_at=db_now(timedelta(days=-8))))
    forget()
    assert remains(database, token.job_id)
    assert remains(database, young)
    with database.read() as session:
        assert set(session.scalars(select(EventRow.job_id))) == {young}


def test_an_open_job_keeps_its_old_events(database: Database, started: Start, forget: Callable[[], None]) -> None:
    started()
    age(database, EventRow, 100)
    forget()
    assert count(database, EventRow) == 2


def test_a_job_that_somebody_waits_for_stays(
    database: Database, submitted: Callable[..., str], started: Start, forget: Callable[[], None]
) -> None:
    token = started()
    submitted(after=[token.job_id])
    awaited = end(database, token, days_ago=31)
    forget()
    assert remains(database, awaited)


def test_a_job_whose_clean_up_is_due_stays(database: Database, started: Start, forget: Callable[[], None]) -> None:
    token = started()
    with database.write() as session:
        attempt_writes.save_checkpoint(session, token, {}, cleanup_needed=True)
    job_id = end(database, token, days_ago=31)
    forget()
    assert job_row(database, job_id).cleanup_needed


def test_keys_and_workers_go(database: Database, owner_id: str, forget: Callable[[], None]) -> None:
    with database.write() as session:
        for number in range(7):
            new = NewJob(owner_id, "check_worker", "cpu", {}, 1)
            submit_once(session, new, key=str(number), body_sha256="")
            long_ago = db_now(timedelta(days=-8))
            session.add(
                WorkerRow(
                    id=str(number), name="", hostname="", pid=1, queue="", slots=1, kinds=[], last_seen_at=long_ago
                )
            )
    age(database, IdempotencyRow, 1)
    forget()
    assert (count(database, IdempotencyRow), count(database, WorkerRow)) == (7, 0)
    age(database, IdempotencyRow, 2)
    forget()
    assert (count(database, IdempotencyRow), count(database, JobRow)) == (0, 7)


def test_files_without_a_row_go_after_a_day(
    database: Database, store: Store, owner_id: str, forget: Callable[[], None]
) -> None:
    used, old, young = "files/used", "files/old", "files/young"
    for key, days in ((used, 100), (old, 2), (young, 0.5)):
        put(store, key, days_old=days)
    part = put(store, "jobs/j/1/a.part", days_old=2)
    with database.write() as session:
        session.add(FileRow(id="f", owner_id=owner_id, name="", media_type="", size_bytes=4, sha256="", key=used))
    forget()
    assert [store.path(key).exists() for key in (used, old, young)] == [True, False, True]
    assert not part.parent.parent.exists()


def test_a_file_that_an_open_job_reads_can_not_be_deleted(
    database: Database, owner_id: str, submitted: Callable[..., str], forget: Callable[[], None]
) -> None:
    with database.write() as session:
        session.add(FileRow(id="f", owner_id=owner_id, name="", media_type="", size_bytes=4, sha256="", key="files/f"))
    submitted(file_ids=["f"])
    forget()
    with database.write() as session, pytest.raises(files.FileInUse):
        files.delete_file(session, session.get_one(FileRow, "f"))


def test_directories_that_stayed_empty_go(store: Store, forget: Callable[[], None]) -> None:
    old, young = store.path("jobs/a/1"), store.path("jobs/b/1")
    for directory, days in ((old, 2), (young, 0)):
        directory.mkdir(parents=True)
        moment = time.time() - days * _DAY
        os.utime(directory, (moment, moment))
    forget()
    assert (old.parent.exists(), young.exists()) == (False, True)


def test_a_file_that_can_not_be_deleted_is_reported(
    store: Store, forget: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "files/stuck", days_old=2)
    gone = put(store, "files/gone", days_old=2)
    delete = store.delete

    def refuse(_store: Store, key: str) -> None:
        if key == "files/stuck":
            raise PermissionError(13, "Permission denied")
        delete(key)

    monkeypatch.setattr(Store, "delete", refuse)
    with capture_logs() as logs:
        forget()
    assert [(log["event"], log["key"]) for log in logs if log["log_level"] == "warning"] == [
        ("file_not_deleted", "files/stuck")
    ]
    assert not gone.exists()


def test_files_may_vanish_while_they_are_looked_for(store: Store) -> None:
    for number in range(3):
        put(store, f"jobs/{number}/1/a", days_old=2)
    keys = store.keys_older_than(_DAY)
    seen = {next(keys)}
    for key in {f"jobs/{number}/1/a" for number in range(3)} - seen:
        store.delete(key)
    assert list(keys) == []


def test_a_directory_may_be_deleted_just_before_it_is_written_to(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open
    removals = iter([True, False])

    def open_late(path: Path, mode: str = "r") -> object:
        if next(removals, False):
            path.parent.rmdir()
        return opened(path, mode)

    monkeypatch.setattr(Path, "open", open_late)
    assert put(store, "jobs/j/1/a").read_bytes() == b"data"
