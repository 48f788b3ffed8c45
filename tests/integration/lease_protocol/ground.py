"""What the steps of the lease protocol are made of: transactions that may die, and what should be and is."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from sqlalchemy import delete
from sqlalchemy.orm import Session

from db.claims import Token
from db.engine import Database
from db.rows import Row
from tests.integration.conftest import make_owner
from tests.integration.lease_protocol.clock import HeldClock
from tests.integration.lease_protocol.model import Job, Jobs, Worker
from tests.integration.lease_protocol.promises import read_everything

T = TypeVar("T")


class Fate(Enum):
    """What becomes of a transaction, and whether its caller gets to know."""

    ANSWERED = auto()
    DIED = auto()
    UNANSWERED = auto()


class Died(Exception):
    """The connection went away before the commit."""


QUEUE = "cpu"
KINDS = ["check_worker", "train_automl"]
ANY = st.integers(0, 99)
FATE = st.sampled_from([Fate.ANSWERED] * 5 + [Fate.DIED, Fate.UNANSWERED])


class Ground(RuleBasedStateMachine):
    """``model`` is what should be; ``everything`` what the database said after the last step."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.clock = HeldClock(database)
        self.model = Jobs()
        self.workers: list[Worker] = []
        self.tokens: list[Token] = []
        self.hints: list[str] = []
        self.submissions = 0
        self.finals: dict[str, Any] = {}
        with database.write() as session:
            for table in reversed(Row.metadata.sorted_tables):
                session.execute(delete(table))
        self.owner_id = make_owner(database, "ada")
        self.everything = read_everything(database)

    def _transact(self, fate: Fate, write: Callable[[Session], T]) -> T | None:
        """The answer; None where there is none."""
        try:
            with self.database.write() as session:
                answer = write(session)
                if fate is Fate.DIED:
                    raise Died
        except Died:
            return None
        return answer if fate is Fate.ANSWERED else None

    def _happens(self, fate: Fate, write: Callable[[Session], object]) -> bool:
        self._transact(fate, write)
        return fate is not Fate.DIED

    def _refused(self, write: Callable[[Session], object], error: type[Exception]) -> None:
        """By an error, and nothing is changed."""
        before = read_everything(self.database)
        with pytest.raises(error):
            self._transact(Fate.ANSWERED, write)
        assert read_everything(self.database) == before

    def _job(self, pick: int) -> Job:
        return self.model.all()[pick % len(self.model.by_id)]

    def _holder_of(self, token: Token) -> Job | None:
        """The job, if it runs this attempt."""
        job = self.model.by_id[token.job_id]
        return job if job.state == "running" and job.attempt == token.attempt else None
