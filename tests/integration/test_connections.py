"""A process's connections to its database."""

from contextlib import ExitStack

from sqlalchemy import select

from db.engine import Database


def test_every_thread_gets_one(database: Database) -> None:
    """However many slots a worker has: one that would have to wait for another's, held up by a database that froze,
    would take that for more than an outage."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(database.read()) for _ in range(60)]
        assert [session.scalar(select(1)) for session in sessions] == [1] * 60
