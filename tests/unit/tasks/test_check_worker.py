import pytest

from tasks.errors import JobCancelled
from tasks.kinds.check_worker import CheckWorker, run
from tests.fakes.job_context import FakeJobContext


def test_the_message_comes_back(job: FakeJobContext) -> None:
    assert run.run(CheckWorker(message="hi"), job).message == "hi"


def test_progress_is_reported(job: FakeJobContext) -> None:
    run.run(CheckWorker(seconds=0.01), job)
    assert job.reports


def test_a_cancel_ends_it(job: FakeJobContext) -> None:
    job.request("cancel")
    with pytest.raises(JobCancelled):
        run.run(CheckWorker(seconds=60), job)


def test_a_stop_ends_it_with_a_result(job: FakeJobContext) -> None:
    job.request("stop")
    assert run.run(CheckWorker(seconds=60), job).seconds < 60
