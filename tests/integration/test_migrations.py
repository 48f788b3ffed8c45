from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from db import schema
from db.claims import Token
from db.engine import Database
from db.rows import Row
from db.schema import downgrade, drift, is_current, upgrade
from db.settings import DatabaseSettings
from tests.integration.conftest import PostgresDatabases
from tests.integration.racers import Processes, migrate
from tests.integration.rows import event_types, job_row, story

Catalogue = dict[str, dict[str, object]]
REVISIONS = [
    script.revision
    for script in reversed([*ScriptDirectory(Path(schema.__file__).parent / "migrations").walk_revisions()])
]


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database in which nothing was made yet."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'empty.db'}", durable=True)
        yield database
        database.dispose()
        return
    postgres: PostgresDatabases = request.getfixturevalue("postgres")
    url = postgres.make_empty()
    database = Database(url, durable=True)
    yield database
    database.dispose()
    postgres.drop(url)


def catalogue(database: Database) -> Catalogue:
    """All that the database says of our tables: columns with types and defaults, keys, indexes and their conditions."""
    with database.reading_engine.connect() as connection:
        names = set(inspect(connection).get_table_names()) - {"alembic_version"}
        return {name: _table(connection, name) for name in sorted(names)}


def _table(connection: Connection, name: str) -> dict[str, object]:
    look = inspect(connection)

    def by_name(parts: list[Any]) -> dict[str, object]:
        return {part["name"]: _in_words(part) for part in parts}

    return {
        "columns": by_name(look.get_columns(name)),
        "indexes": by_name(look.get_indexes(name)),
        "foreign keys": by_name(look.get_foreign_keys(name)),
        "unique": by_name(look.get_unique_constraints(name)),
        "primary key": _in_words(look.get_pk_constraint(name)),
    }


def _in_words(part: object) -> object:
    """Types and conditions are objects, which are equal only to themselves."""
    return {key: _in_words(value) for key, value in part.items()} if isinstance(part, dict) else str(part)


def test_migrations_make_exactly_the_tables_of_the_rows(empty: Database) -> None:
    with empty.writing_engine.begin() as connection:
        Row.metadata.create_all(connection)
    wanted = catalogue(empty)
    with empty.writing_engine.begin() as connection:
        Row.metadata.drop_all(connection)
    upgrade(empty)
    assert is_current(empty)
    assert drift(empty) == []
    assert catalogue(empty) == wanted


def test_each_migration_can_be_undone_and_done_again(empty: Database) -> None:
    seen = [catalogue(empty)]
    assert seen == [{}]
    for revision in REVISIONS:
        assert not is_current(empty)
        upgrade(empty, revision)
        seen.append(catalogue(empty))
    assert is_current(empty)
    for before, revision in zip(reversed(seen[:-1]), [*reversed(REVISIONS[:-1]), "base"], strict=True):
        downgrade(empty, revision)
        assert catalogue(empty) == before
    upgrade(empty)
    assert catalogue(empty) == seen[-1]


def test_migrating_keeps_what_is_there(database: Database, started: Any) -> None:
    token: Token = started()
    before = event_types(database, token.job_id)
    downgrade(database, REVISIONS[0])
    upgrade(database)
    assert job_row(database, token.job_id).attempt == 1
    assert story(database, token.job_id) == [(1, "running", None)]
    assert event_types(database, token.job_id) == before


def test_processes_that_migrate_at_once_do_not_get_in_each_other_s_way(empty: Database, processes: Processes) -> None:
    url = empty.writing_engine.url.render_as_string(hide_password=False)
    for revision in ("head", "base", "head"):
        processes.run(migrate, [(url, revision)] * 4)
    assert is_current(empty)
    assert drift(empty) == []


def test_a_home_may_have_any_name(tmp_path: Path) -> None:
    for name in ("50%41", "what?", "a b", "#1"):
        settings = DatabaseSettings(home=tmp_path / name, database_url=None)
        database = Database(settings.url)
        upgrade(database)
        database.dispose()
        assert (tmp_path / name / "turnout.db").is_file()


@pytest.mark.parametrize(
    "change",
    [
        "alter table jobs add column surplus text",
        "drop index ix_jobs_order",
        "alter table jobs rename column spec to specification",
    ],
)
def test_drift_is_seen(database: Database, change: str) -> None:
    with database.writing_engine.begin() as connection:
        connection.exec_driver_sql(change)
    assert drift(database)
