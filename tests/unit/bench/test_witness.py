"""The witness sees every write that ends a job or touches its result, and keeps what it saw."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from bench.chaos.witness import station, writes_seen


def test_it_sees_ends_results_and_what_comes_after(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'jobs.db'}")
    with engine.begin() as connection:
        columns = "id TEXT, state TEXT, reason TEXT, attempt INTEGER, result TEXT, finished_at TEXT"
        connection.exec_driver_sql(f"CREATE TABLE jobs ({columns})")
        connection.exec_driver_sql("INSERT INTO jobs (id, state, attempt) VALUES ('a', 'queued', 0)")
    station(engine, "jobs")
    changes = [
        "state = 'running', attempt = 1",
        "result = '{}'",
        "state = 'succeeded'",
        "state = 'succeeded'",
        "result = '{\"other\": 1}'",
        "state = 'running', attempt = 2",
    ]
    for change in changes:
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE jobs SET {change}"))
    with engine.connect() as connection:
        seen = [(w.ends, w.new_result, w.is_late, w.attempt) for w in writes_seen(connection)]
    assert seen == [(False, True, False, 1), (True, False, False, 1), (False, True, True, 1), (False, False, True, 2)]
    for spoil in ("UPDATE chaos_witness SET attempt = 9", "DELETE FROM chaos_witness"):
        with pytest.raises(IntegrityError, match="never changed"), engine.begin() as connection:
            connection.execute(text(spoil))
