from collections.abc import Callable
from pathlib import Path

from sqlalchemy import inspect

from db.claims import Token
from db.engine import Database
from db.rows import Row
from db.schema import downgrade, drift, is_current, upgrade
from db.settings import DatabaseSettings
from tests.integration.rows import job_row


def test_migrations_make_exactly_the_tables_of_the_rows(database: Database) -> None:
    assert is_current(database)
    assert drift(database) == []


def test_migrations_can_be_undone_and_done_again(database: Database) -> None:
    downgrade(database, "base")
    assert not is_current(database)
    assert not set(inspect(database.reading_engine).get_table_names()) & set(Row.metadata.tables)
    upgrade(database)
    assert drift(database) == []


def test_going_back_over_retries_loses_nothing_else(database: Database, started: Callable[..., Token]) -> None:
    """On SQLite a table that is made anew takes everything that refers to it along."""
    token = started(retry_of="an-earlier-job")
    downgrade(database, "0001")
    with database.reading_engine.connect() as connection:
        for table in ("jobs", "attempts", "events"):
            assert connection.exec_driver_sql(f"select count(*) from {table}").scalar_one() > 0, table
    upgrade(database)
    assert drift(database) == []
    assert job_row(database, token.job_id).retry_of is None


def test_a_home_may_have_any_name(tmp_path: Path) -> None:
    for name in ("50%41", "what?", "a b", "#1"):
        settings = DatabaseSettings(home=tmp_path / name, database_url=None)
        database = Database(settings.url)
        upgrade(database)
        database.dispose()
        assert (tmp_path / name / "turnout.db").is_file()


def test_a_column_more_is_drift(database: Database) -> None:
    with database.writing_engine.begin() as connection:
        connection.exec_driver_sql("alter table jobs add column surplus text")
    assert len(drift(database)) == 1
