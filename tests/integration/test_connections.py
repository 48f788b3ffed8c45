"""A process's connections to its database."""

from contextlib import ExitStack

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from db.engine import Database
from db.owners import make_key


def test_every_thread_gets_one(database: Database) -> None:
    """However many slots a worker has: one that would have to wait for another's, held up by a database that froze,
    would take that for more than an outage."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(database.read()) for _ in range(60)]
        assert [session.scalar(select(1)) for session in sessions] == [1] * 60


def test_a_server_that_became_a_standby_is_an_outage(postgres_database: Database) -> None:
    """Its sessions stay open, but only the new primary takes what they write."""
    with postgres_database.writing_engine.connect() as connection:
        connection.exec_driver_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        connection.commit()
    with pytest.raises(OperationalError), postgres_database.write() as session:
        make_key(session, owner="ada", name="first")
    with postgres_database.write() as session:
        make_key(session, owner="ada", name="first")
