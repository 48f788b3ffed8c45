from collections.abc import Callable

from db.claims import Claimant, claim
from db.engine import Database
from db.states import State
from tests.integration.rows import event_types, job_row, story


def test_a_claim_starts_an_attempt(database: Database, submitted: Callable[..., str], claimant: Claimant) -> None:
    job_id = submitted()
    with database.write() as session:
        (job,) = claim(session, [job_id], claimant)
    assert (job.state, job.attempt, job.worker_id) == (State.RUNNING, 1, claimant.worker_id)
    assert job.lease_expires_at is not None
    assert story(database, job_id) == [(1, "running", None)]
    assert event_types(database, job_id) == ["state", "state"]


def test_what_is_not_queued_is_left_out(database: Database, submitted: Callable[..., str], claimant: Claimant) -> None:
    waiting, queued = submitted(after=[submitted()]), submitted()
    with database.write() as session:
        assert [job.id for job in claim(session, [waiting, queued, "unknown"], claimant)] == [queued]
    with database.write() as session:
        assert claim(session, [queued], claimant) == ()
    assert job_row(database, waiting).attempt == 0
