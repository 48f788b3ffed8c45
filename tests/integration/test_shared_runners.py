"""Many jobs in one runner at once: what befalls one is no concern of the others."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from db.engine import Database
from db.rows import EventRow
from db.states import State, StopRequest
from tests.integration.conftest import Queued
from tests.integration.rows import ask, causes, job_row, story, wait_for
from tests.integration.worker_process import Workers, runners_of
from tests.waiting import until

pytestmark = pytest.mark.processes_alone

Submitted = Callable[..., str]
KIND = "share_runner"


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the workers that a test starts."""
    monkeypatch.setenv("TURNOUT_GRACE", "PT1S")


@pytest.fixture
def share(submitted: Submitted) -> Submitted:
    """Submit a job that shares its runner."""

    def submit(how: str = "double", **spec: object) -> str:
        return submitted(kind=KIND, spec={"kind": KIND, "how": how, **spec})

    return submit


def result_of(database: Database, job_id: str) -> list[int]:
    job = wait_for(database, job_id)
    assert job.state == State.SUCCEEDED, job.error
    assert job.result is not None
    values: list[int] = job.result["values"]
    return values


def pid_of(database: Database, job_id: str) -> int:
    result = wait_for(database, job_id).result
    assert result is not None
    return int(result["pid"])


def begun(database: Database, *job_ids: str) -> None:
    for job_id in job_ids:
        until(lambda job_id=job_id: job_row(database, job_id).progress_fraction, what="progress")  # type: ignore[misc]


def test_many_jobs_are_in_one_runner_at_once(database: Database, workers: Workers, share: Submitted) -> None:
    jobs = [share("meet", values=[20, n]) for n in range(20)]
    workers.start()
    for n, job_id in enumerate(jobs):
        assert result_of(database, job_id) == [40, 2 * n]
        assert story(database, job_id) == [(1, "succeeded", "completed")]
    assert len({pid_of(database, job_id) for job_id in jobs}) == 1


def test_what_is_written_is_told_in_the_jobs_events(database: Database, workers: Workers, share: Submitted) -> None:
    job_id = share("tell", values=[3, 4])
    workers.start()
    assert result_of(database, job_id) == [6, 8]
    with database.read() as session:
        events = session.scalars(select(EventRow).where(EventRow.job_id == job_id).order_by(EventRow.seq)).all()
    told = [event.data for event in events if event.type == "output"]
    assert told == [{"index": 0, "text": "value 3"}, {"index": 1, "text": "value 4"}]


def test_hints_bring_jobs_into_a_runner_that_has_some(database: Database, workers: Workers, queued: Queued) -> None:
    workers.start()
    first = queued(KIND, how="wait")
    begun(database, first)
    other = queued(KIND, values=[5])
    assert result_of(database, other) == [10]
    assert job_row(database, first).state == State.RUNNING


def test_a_bad_input_fails_its_job_and_what_does_not_fit_is_halved(
    database: Database, workers: Workers, share: Submitted
) -> None:
    good = [share(values=list(range(20, 30))) for _ in range(5)]
    bad = share(values=[12, -13, 14])
    workers.start()
    for job_id in good:
        assert result_of(database, job_id) == list(range(40, 60, 2))
        metrics = job_row(database, job_id).metrics
        assert 1 <= metrics["batch_size"] <= 4
        assert metrics["padding_share"] == 0
    job = wait_for(database, bad)
    assert (job.state, job.reason) == (State.FAILED, "invalid_input")
    assert job.error is not None
    assert job.error["message"] == "Value -13 brings bad luck."


def test_one_is_cancelled_and_the_others_notice_nothing(database: Database, workers: Workers, share: Submitted) -> None:
    worker = workers.start()
    jobs = [share("wait") for _ in range(3)]
    begun(database, *jobs)
    (runner,) = runners_of(worker)
    assert ask(database, jobs[1], StopRequest.CANCEL) is State.RUNNING
    job = wait_for(database, jobs[1])
    assert (job.state, job.reason) == (State.CANCELLED, "cancelled_by_user")
    assert pid_of(database, share()) == runner.pid
    assert [job_row(database, job_id).state for job_id in jobs] == [State.RUNNING, State.CANCELLED, State.RUNNING]


def test_one_that_ignores_its_cancel_costs_the_others_nothing_but_time(
    database: Database, workers: Workers, share: Submitted
) -> None:
    worker = workers.start()
    stubborn = share("ignore everything")
    others = [share("wait once", values=[n]) for n in range(3)]
    begun(database, stubborn, *others)
    (runner,) = runners_of(worker)
    ask(database, stubborn, StopRequest.CANCEL)
    job = wait_for(database, stubborn)
    assert (job.state, job.reason) == (State.CANCELLED, "cancelled_by_user")
    for n, job_id in enumerate(others):
        assert result_of(database, job_id) == [2 * n]
        assert story(database, job_id) == [(1, "handed_back", None), (2, "succeeded", "completed")]
        row = job_row(database, job_id)
        assert (row.failures, row.losses) == (0, 0)
        assert stubborn in (causes(database, job_id)[0] or "")
        with database.read() as session:
            lines = session.scalars(select(EventRow.data).where(EventRow.job_id == job_id, EventRow.type == "log"))
            assert any(stubborn in line["message"] for line in lines)
    assert pid_of(database, others[0]) != runner.pid


def test_a_killed_runner_loses_its_jobs_attempts_and_they_run_again(
    database: Database, workers: Workers, share: Submitted
) -> None:
    worker = workers.start()
    jobs = [share("wait once", values=[n]) for n in range(4)]
    begun(database, *jobs)
    (runner,) = runners_of(worker)
    runner.kill()
    for n, job_id in enumerate(jobs):
        assert result_of(database, job_id) == [2 * n]
        assert story(database, job_id) == [(1, "lost", "worker_lost"), (2, "succeeded", "completed")]


def test_what_ends_its_runner_runs_alone_before_it_takes_others_with_it_for_good(
    database: Database, workers: Workers, share: Submitted
) -> None:
    deadly = share("exit")
    others = [share("wait", seconds=0.5, values=[n]) for n in range(3)]
    workers.start()
    job = wait_for(database, deadly)
    assert (job.state, job.reason) == (State.FAILED, "worker_lost")
    for n, job_id in enumerate(others):
        assert result_of(database, job_id) == [2 * n]
        assert job_row(database, job_id).losses <= 2


def test_a_job_that_needs_a_runner_to_itself_gets_its_turn(
    database: Database, workers: Workers, share: Submitted, queued: Queued
) -> None:
    workers.start()
    stream = [share("wait", seconds=0.3) for _ in range(3)]
    begun(database, stream[0])
    alone = queued("check_worker")
    while not job_row(database, alone).finished_at:
        stream = [*stream[-3:], share("wait", seconds=0.3)]
        begun(database, stream[-4])
    assert story(database, alone) == [(1, "succeeded", "completed")]
    for job_id in stream:
        result_of(database, job_id)


def test_a_worker_that_shuts_down_hands_back_what_does_not_end(
    database: Database, workers: Workers, share: Submitted
) -> None:
    worker = workers.start()
    jobs = [share("wait"), share("ignore everything")]
    short = share("wait once", seconds=0.5)
    begun(database, *jobs)
    worker.terminate()
    assert workers.wait_for_exit(worker) == 0
    for job_id in jobs:
        assert job_row(database, job_id).state == State.QUEUED
        assert story(database, job_id) == [(1, "handed_back", None)]
    workers.start()
    assert result_of(database, short) == [2]


def test_jobs_that_come_together_are_dealt_out_and_one_by_one_stay_where_the_last_one_was(
    database: Database, workers: Workers, queued: Queued
) -> None:
    worker = workers.start(slots=2)
    until(lambda: (workers.home / "workers.log").read_text().count("runner_ready") == 2, what="both runners")
    both = [queued(kind=KIND, how="wait", seconds=1.0, values=[n]) for n in range(2)]
    assert {pid_of(database, job_id) for job_id in both} == {runner.pid for runner in runners_of(worker)}
    first, second = (pid_of(database, queued(kind=KIND, how="double", values=[n])) for n in range(2))
    assert first == second
