"""Who writes to a file of SQLite."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError, OperationalError

import db.engine
from db.engine import Database


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "turnout.db"


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{file}")
    with made.write() as session:
        session.execute(text("CREATE TABLE numbers (n INTEGER)"))
    yield made
    made.dispose()


def numbers(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(text("SELECT n FROM numbers ORDER BY n")))


def write(database: Database, number: int) -> None:
    with database.write() as session:
        session.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": number})


def test_a_writer_waits_for_the_one_before(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = threading.Event()
    sleep = db.engine.time.sleep

    def noted(seconds: float) -> None:
        waits.set()
        sleep(seconds)

    monkeypatch.setattr(db.engine.time, "sleep", noted)
    other = threading.Thread(target=write, args=(database, 2))
    with database.write() as session:
        session.execute(text("INSERT INTO numbers VALUES (1)"))
        other.start()
        assert waits.wait(10)
        assert numbers(database) == []
    other.join(10)
    assert numbers(database) == [1, 2]


def test_a_writer_gives_up_in_the_end(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db.engine, "_BUSY_TIMEOUT_MS", 50)
    with database.write() as session:
        session.execute(text("INSERT INTO numbers VALUES (1)"))
        with pytest.raises(OperationalError, match="locked"):
            write(database, 2)
    write(database, 3)
    assert numbers(database) == [1, 3]


def test_many_writers_lose_nothing(file: Path, database: Database) -> None:
    others = [Database(f"sqlite:///{file}") for _ in range(4)]
    writers = [
        threading.Thread(target=lambda base=base, at=at: [write(base, 25 * at + n) for n in range(25)])
        for at, base in enumerate(others)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert numbers(database) == list(range(100))
    for other in others:
        other.dispose()


def test_a_file_that_is_broken_is_told_of_at_once(file: Path, database: Database) -> None:
    with sqlite3.connect(file) as connection:
        # All of it lies in the file then, and nothing beside it.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.write_bytes(b"no database " * 1000)
    with pytest.raises(DatabaseError):
        write(database, 1)
