"""Cancel discards, stop keeps."""

import pytest

from tasks.errors import JobCancelled, JobStoppedEmpty
from tests.contract.h2o.conftest import MakeJob, ask, long_spec, quick_spec, train
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.frames import read_job
from workers.runtimes.h2o_automl.runtime import H2OAutoMLRuntime


def test_cancel_ends_the_training_in_the_cluster(make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient) -> None:
    job = make_job()
    ask(job, "cancel")
    with pytest.raises(JobCancelled):
        train(long_spec(), job, h2o)
    assert job.saved_checkpoint is not None
    assert read_job(client, str(job.saved_checkpoint["job_key"]))["status"] == "CANCELLED"
    # What was saved in case the cluster died, and nothing of a result.
    assert set(job.artifacts) <= {"model.zip", "leaderboard.json"}


def test_stop_keeps_the_models_so_far(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    job = make_job()
    ask(job, "stop")
    result = train(long_spec(explain=True), job, h2o)
    assert result.stopped_early
    assert result.models >= 1
    assert {"model.zip", "confusion_matrix.png"} <= set(job.artifacts)
    assert job.boards[-1].complete


def test_an_attempt_after_a_stop_keeps_the_models_too(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    first = make_job()
    ask(first, "stop")
    kept = train(long_spec(), first, h2o)
    second = make_job(first.job_id, 2, first.saved_checkpoint)
    second.request("stop")
    again = train(long_spec(), second, h2o)
    assert (again.leader, again.stopped_early) == (kept.leader, True)


@pytest.mark.parametrize(("mode", "error"), [("stop", JobStoppedEmpty), ("cancel", JobCancelled)])
def test_before_the_training_there_is_nothing_to_keep(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, mode: str, error: type[Exception]
) -> None:
    job = make_job()
    job.on_checkpoint = lambda _document: job.request("stop" if mode == "stop" else "cancel")
    with pytest.raises(error):
        train(quick_spec(), job, h2o)
    assert [saved["phase"] for saved in job.checkpoints] == ["preparing"]
