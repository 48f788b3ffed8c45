"""Jobs that share a cluster don't mix, and leave nothing in it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.errors import ClusterLost, JobCancelled
from tests.contract.h2o.conftest import MakeJob, ask, left_in, long_spec, quick_spec, train
from tests.contract.h2o.keeper_process import wait_until
from tests.fakes.job_context import FakeJobContext
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.frames import remove_key
from workers.runtimes.h2o_automl.keys import RunKeys
from workers.runtimes.h2o_automl.room import Room
from workers.runtimes.h2o_automl.runtime import H2OAutoMLRuntime


def test_two_jobs_at_once_dont_mix(make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient) -> None:
    specs = [
        quick_spec(include_algos=["GLM", "GBM"], max_models=3),
        quick_spec("wine", "cultivar", include_algos=["GLM", "GBM"], max_models=3),
    ]
    jobs = [make_job(), make_job()]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda spec, job: train(spec, job, h2o), specs, jobs))
    assert [sum(result.rows.values()) for result in results] == [1000, 178]
    assert [result.models for result in results] == [3, 3]
    models = [{entry.model_id for board in job.boards for entry in board.entries} for job in jobs]
    assert not models[0] & models[1]

    assert jobs[0].saved_checkpoint is not None
    h2o.clean_up(jobs[0].saved_checkpoint)
    assert left_in(client, jobs[0].job_id) == []
    assert {result.rsplit("_automl")[0] for result in left_in(client, jobs[1].job_id)}
    assert models[1] <= set(left_in(client))


def test_a_job_comes_and_goes_while_one_with_a_longer_id_trains(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient
) -> None:
    before = sorted(left_in(client))
    short, long = make_job("job_1"), make_job("job_10")

    def come_and_go(_board: object) -> None:
        long.on_leaderboard = None
        train(quick_spec(), short, h2o)
        _clean_up(h2o, short)
        long.request("stop")

    long.on_leaderboard = come_and_go
    kept = train(long_spec(explain=True), long, h2o)
    assert kept.test_metrics
    assert kept.explanation_missing == []
    prefixes = [RunKeys(job.job_id, 1).job_prefix for job in (short, long)]
    assert [any(name.startswith(prefix) for name in left_in(client)) for prefix in prefixes] == [False, True]
    _clean_up(h2o, long)
    assert sorted(left_in(client)) == before


def test_a_job_waits_for_the_room_that_another_holds(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient, tmp_path: Path
) -> None:
    sign, other = tmp_path / "sign", Room(1 << 50).key(RunKeys("e" * 32, 1))
    sign.write_bytes(b"1")
    client.upload(sign, other)
    job = make_job()
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(train, quick_spec(), job, h2o)
        try:
            wait_until(
                lambda: (
                    any("Waiting for room in the cluster" in message for _, message, _ in job.reports) or ending.done()
                ),
                "the job waited",
            )
            assert not any(name.endswith("_train") for name in left_in(client, job.job_id))
        finally:
            remove_key(client, other)
        assert ending.result().models == 1
    assert any("_room_" in name for name in left_in(client, job.job_id))
    _clean_up(h2o, job)
    assert left_in(client, job.job_id) == []


def test_ten_jobs_in_a_row_leave_nothing(make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient) -> None:
    before = sorted(left_in(client))
    for number in range(10):
        job = make_job()
        algos = ["GLM", "GBM", "StackedEnsemble"] if number % 5 == 0 else ["GLM"]
        train(quick_spec(include_algos=algos, max_models=2, explain=number % 3 == 0), job, h2o)
        _clean_up(h2o, job)
    assert sorted(left_in(client)) == before


def test_a_cancelled_job_leaves_nothing(make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient) -> None:
    before = sorted(left_in(client))
    job = make_job()
    ask(job, "cancel")
    try:
        train(long_spec(), job, h2o)
    except JobCancelled:
        _clean_up(h2o, job)
    assert sorted(left_in(client)) == before


def test_clean_up_ends_a_training_that_nobody_watches(
    make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient
) -> None:
    before = sorted(left_in(client))
    job = make_job()

    def abandon(_board: object) -> None:
        raise ClusterLost("The watcher is gone.")

    job.on_leaderboard = abandon
    try:
        train(long_spec(), job, h2o)
    except ClusterLost:
        _clean_up(h2o, job)
    assert sorted(left_in(client)) == before


@pytest.mark.parametrize("target", ["house price", "größe"])
@pytest.mark.parametrize("problem", ["classification", "regression"])
def test_a_target_of_any_name_is_trained_and_leaves_nothing(
    make_job: MakeJob,
    h2o: H2OAutoMLRuntime,
    client: H2OClient,
    tables: dict[str, Path],
    tmp_path: Path,
    target: str,
    problem: str,
) -> None:
    before = sorted(left_in(client))
    tables["named"] = tmp_path / "named.csv"
    rows = "".join(f"{n % 7},{n % 5},{(n % 7 > 3) + (n % 5) / 10 * (problem == 'regression')}\n" for n in range(200))
    tables["named"].write_text(f"target,x,{target}\n{rows}")
    job = make_job()
    result = train(quick_spec("named", target, problem=problem, explain=True, include_algos=["GBM"]), job, h2o)
    assert result.explanation_missing == []
    assert job.saved_checkpoint is not None
    unanswered = {**job.saved_checkpoint, "phase": "starting", "job_key": ""}
    again = train(quick_spec("named", target, problem=problem), make_job(job.job_id, 2, unanswered), h2o)
    assert (again.leader, again.runs) == (result.leader, 1)
    _clean_up(h2o, job)
    assert sorted(left_in(client)) == before


def test_clean_up_in_another_cluster_does_nothing(make_job: MakeJob, h2o: H2OAutoMLRuntime, client: H2OClient) -> None:
    job = make_job()
    train(quick_spec(), job, h2o)
    assert job.saved_checkpoint is not None
    before = left_in(client)
    h2o.clean_up({**job.saved_checkpoint, "cluster_id": "1"})
    assert left_in(client) == before


def _clean_up(h2o: H2OAutoMLRuntime, job: FakeJobContext) -> None:
    assert job.saved_checkpoint is not None
    h2o.clean_up(job.saved_checkpoint)
    h2o.clean_up(job.saved_checkpoint)
