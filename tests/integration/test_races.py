"""Many processes at the same jobs at once: one winner each time, and nobody is hurt."""

from collections import Counter
from collections.abc import Callable

import pytest

from db.claims import Claimant, Token
from db.engine import Database
from db.states import State
from db.workers import register
from tests.integration.lease_protocol.promises import check_promises, read_everything
from tests.integration.racers import Processes, end_attempts, run_jobs, shuffle_marks
from tests.integration.rows import shift, story


@pytest.fixture
def url(database: Database) -> str:
    return database.writing_engine.url.render_as_string(hide_password=False)


def test_each_attempt_is_claimed_once(
    database: Database, url: str, submitted: Callable[..., str], processes: Processes
) -> None:
    job_ids = [submitted() for _ in range(12)]
    won = processes.run(run_jobs, [(url, job_ids, 2, at_once) for at_once in (1, 1, 2, 4, 8, 12)])
    claimed = sorted((token.job_id, token.attempt) for part in won for token in part)
    assert claimed == sorted((job_id, attempt) for job_id in job_ids for attempt in (1, 2))
    for job_id in job_ids:
        assert [outcome for _, outcome, _ in story(database, job_id)] == ["handed_back", "succeeded"]
    check_promises(read_everything(database))


@pytest.mark.parametrize(
    "rivals",
    [
        ("succeed", "cancel", "notice", "sweep", "renew", "sweep"),
        ("succeed", "succeed", "fail", "sweep", "cancel", "cancel"),
    ],
    ids=" ".join,
)
def test_each_attempt_is_ended_once(
    database: Database,
    url: str,
    started: Callable[..., Token],
    claimant: Claimant,
    processes: Processes,
    rivals: tuple[str, ...],
) -> None:
    tokens = [started() for _ in range(40)]
    for token in tokens[::2]:
        shift(database, token.job_id, lease_expires_at=-1)
    ended = processes.run(end_attempts, [(url, tokens, how, claimant.worker_id) for how in rivals])
    times = Counter(token for part in ended for token in part)
    seen = read_everything(database)
    check_promises(seen)
    for token in tokens:
        job = seen.jobs[token.job_id]
        still_runs = job["state"] == State.RUNNING
        assert times[token] == (0 if still_runs else 1)
        assert job["attempt"] == 1


def test_marks_that_all_set_and_take_back_at_once_lock_nobody_out(
    database: Database, url: str, submitted: Callable[..., str], processes: Processes
) -> None:
    with database.write() as session:
        register(session, name="w", hostname="h", pid=1, queue="cpu", slots=100, kinds=["check_worker"])
    job_ids = [submitted() for _ in range(100)]
    marked = processes.run(shuffle_marks, [(url, "cpu", job_ids, 15)] * 6)
    assert sum(marked) > 0
    check_promises(read_everything(database))
