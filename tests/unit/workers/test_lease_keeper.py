"""What a wake does; the leases themselves are tested with real workers."""

import queue
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from db.claims import Claimant, Token, claim
from db.engine import Database
from db.owners import holder_of, make_key
from db.rows import JobRow
from db.schema import upgrade
from db.states import StopRequest
from db.stops import request_stop
from db.submit import NewJob, submit
from db.workers import register
from workers import lease_keeper
from workers.lease_keeper import LeaseKeeper

_PATIENCE_SECONDS = 30


class Recorder:
    """A holder that keeps what it is told."""

    def __init__(self) -> None:
        self.told: queue.SimpleQueue[str] = queue.SimpleQueue()

    def is_alive(self) -> bool:
        return True

    def lease_prolonged(self, until: float) -> None:
        assert until > time.monotonic()
        self.told.put("prolonged")

    def asked(self, request: StopRequest) -> None:
        self.told.put(request)

    def lease_lost(self) -> None:
        self.told.put("lost")

    def reports_refused(self) -> None:
        self.told.put("refused")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'turnout.db'}")
    upgrade(database)
    yield database
    database.dispose()


def test_a_woken_keeper_does_not_wait_for_the_next_renewal(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_keeper, "RENEW_EVERY", timedelta(hours=1))
    with database.write() as session:
        worker_id = register(session, name="w", hostname="here", pid=1, queue="cpu", slots=2, kinds=["k"])
        holder = holder_of(session, make_key(session, owner="ada", name="first"))
        assert holder is not None
        new = NewJob(owner_id=holder.owner_id, kind="k", queue="cpu", spec={}, max_attempts=1)
        job_ids = [submit(session, new).id for _ in range(2)]
        claim(session, job_ids, Claimant(worker_id, "w"))
    cancelled, other = Recorder(), Recorder()
    keeper = LeaseKeeper(database, worker_id)
    for job_id, holder_of_it in zip(job_ids, (cancelled, other), strict=True):
        keeper.hold(Token(job_id, 1), holder_of_it)
    keeper.start()
    assert cancelled.told.get(timeout=_PATIENCE_SECONDS) == "prolonged"
    with database.write() as session:
        request_stop(session, session.get_one(JobRow, job_ids[0]), StopRequest.CANCEL)
    keeper.wake(["another worker's"])
    assert cancelled.told.empty()
    keeper.wake([job_ids[0], "another worker's"])
    assert cancelled.told.get(timeout=_PATIENCE_SECONDS) == StopRequest.CANCEL
    assert other.told.get(timeout=_PATIENCE_SECONDS) == "prolonged"
    assert other.told.empty()
