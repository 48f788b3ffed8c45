"""A later attempt goes on with what the cluster still has."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.errors import JobCancelled
from tests.contract.h2o.conftest import MakeJob, left_in, quick_spec, train
from tests.contract.h2o.keeper_process import KeeperProcess, environment, wait_until
from tests.fakes.job_context import LeaseLost
from workers.runtimes.h2o_automl import frames
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.frames import frame_names
from workers.runtimes.h2o_automl.run_state import RunState
from workers.runtimes.h2o_automl.runtime import H2OAutoMLRuntime

SEVERAL: dict[str, object] = {"include_algos": ["GLM", "GBM", "DRF"], "max_models": 5, "nfolds": 3}


@pytest.fixture
def big_table(tables: dict[str, Path], tmp_path: Path) -> str:
    """A table that takes a second or two to parse."""
    tables["big"] = tmp_path / "big.csv"
    lines = tables["circle"].read_text().splitlines(keepends=True)
    tables["big"].write_text(lines[0] + "".join(lines[1:]) * 400)
    return "big"


def test_a_killed_client_is_followed_by_one_that_attaches(
    keeper: KeeperProcess, make_job: MakeJob, h2o: H2OAutoMLRuntime, tables: dict[str, Path], tmp_path: Path
) -> None:
    spec, kept = quick_spec("circle", "y", **SEVERAL), tmp_path / "checkpoint.json"
    arguments = [str(keeper.cluster_file), str(tables["circle"]), spec.model_dump_json(), str(kept)]
    abandoned = subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.contract.h2o.abandoned_client", *arguments], env=environment()
    )
    try:
        wait_until(lambda: kept.exists() or abandoned.poll() is not None, "the client had started its training")
    finally:
        abandoned.kill()
        abandoned.wait()
    checkpoint = json.loads(kept.read_text())

    job = make_job(checkpoint["job_id"], attempt=2, saved_checkpoint=checkpoint)
    result = train(spec, job, h2o)

    assert result.runs == 1
    assert result.models == 5
    assert {saved["job_key"] for saved in job.checkpoints} == {checkpoint["job_key"]}
    assert any("Attached again" in line for _, line in job.lines)


def test_an_attempt_that_lost_its_lease_leaves_the_training_alone(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    spec, first = quick_spec("circle", "y", **SEVERAL), make_job()

    def lose(_board: object) -> None:
        first.lease_held = False

    first.on_leaderboard = lose
    with pytest.raises(LeaseLost):
        train(spec, first, h2o)
    second = make_job(first.job_id, 2, first.saved_checkpoint)
    assert train(spec, second, h2o).models == 5
    assert second.boards[-1].run == 1


def test_the_job_is_found_when_its_key_was_never_stored(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    first = make_job()
    one = train(quick_spec(), first, h2o)
    assert first.saved_checkpoint is not None
    unanswered = {**first.saved_checkpoint, "phase": "starting", "job_key": ""}
    two = train(quick_spec(), make_job(first.job_id, 2, unanswered), h2o)
    assert two.leader == one.leader


def test_a_finished_training_is_only_concluded(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    first = make_job()
    one = train(quick_spec(), first, h2o)
    second = make_job(first.job_id, 2, first.saved_checkpoint)
    two = train(quick_spec(), second, h2o)
    assert (two.leader, two.test_metrics, two.runs) == (one.leader, one.test_metrics, 1)
    assert "model.zip" in second.artifacts


def test_a_run_that_never_started_begins_again_without_its_frames(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient, tables: dict[str, Path]
) -> None:
    job = make_job()
    state = RunState(job.job_id, "y", 1, client.cluster_id)
    stray = state.keys.frame("data_raw")
    client.upload(tables["circle"], stray)
    assert stray in frame_names(client)
    again = make_job(job.job_id, 2, state.document())
    assert train(quick_spec(), again, h2o).runs == 1
    assert stray not in frame_names(client)


def test_an_attempt_killed_in_the_parse_is_followed_by_one_that_parses_again(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, big_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_job()

    def die(*_arguments: object) -> None:
        raise LeaseLost("killed")

    with monkeypatch.context() as patched:
        patched.setattr(frames, "await_job", die)
        with pytest.raises(LeaseLost):
            train(quick_spec(big_table), first, h2o)
    second = make_job(first.job_id, 2, first.saved_checkpoint)
    assert train(quick_spec(big_table), second, h2o).runs == 1


def test_a_job_cancelled_in_the_parse_leaves_nothing(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient, big_table: str
) -> None:
    job = make_job()
    job.on_checkpoint = lambda _document: job.request("cancel")
    with pytest.raises(JobCancelled):
        train(quick_spec(big_table), job, h2o)
    assert job.saved_checkpoint is not None
    h2o.clean_up(job.saved_checkpoint)
    assert left_in(client, job.job_id) == []


def test_an_automl_cancelled_in_the_cluster_is_trained_anew(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient
) -> None:
    first = make_job()
    train(quick_spec(), first, h2o)
    assert first.saved_checkpoint is not None
    second = make_job(first.job_id, 2, {**first.saved_checkpoint, "phase": "abandoned"})
    assert train(quick_spec(), second, h2o).runs == 2
    assert not [name for name in left_in(client, first.job_id) if "_r1_" in name]


def test_an_automl_that_vanished_is_followed_by_the_next_run(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient
) -> None:
    first = make_job()
    train(quick_spec(), first, h2o)
    assert first.saved_checkpoint is not None
    h2o.clean_up(first.saved_checkpoint)
    second = make_job(first.job_id, 2, first.saved_checkpoint)
    assert train(quick_spec(), second, h2o).runs == 2
    assert second.boards[-1].run == 2


def test_a_new_cluster_means_the_next_run(make_job: MakeJob, h2o: H2OAutoMLRuntime) -> None:
    job = make_job()
    elsewhere = RunState(job.job_id, "y", 3, "1234", phase="training", job_key="gone", used_seconds=30)
    again = make_job(job.job_id, 2, elsewhere.document())
    result = train(quick_spec(max_runtime_secs=100), again, h2o)
    assert result.runs == 4
    assert again.checkpoints[0]["spent_seconds"] == 30
