from db.engine import Database
from db.rows import Row
from db.schema import downgrade, drift, is_current, upgrade


def test_migrations_make_exactly_the_tables_of_the_rows(database: Database) -> None:
    assert is_current(database)
    assert drift(database) == []


def test_migrations_can_be_undone_and_done_again(database: Database) -> None:
    downgrade(database, "base")
    assert not is_current(database)
    with database.read() as session:
        tables = {name for (name,) in session.connection().exec_driver_sql("select name from sqlite_master").all()}
    assert not tables & set(Row.metadata.tables)
    upgrade(database)
    assert drift(database) == []


def test_a_column_more_is_drift(database: Database) -> None:
    with database.writing_engine.begin() as connection:
        connection.exec_driver_sql("alter table jobs add column surplus text")
    assert len(drift(database)) == 1
