"""Jobs as runs of a real MLflow, whose store is a SQLite file."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from click.testing import Result

from tests.unit.api.serving import HandWorker
from turnout import AsyncClient, Client, ExportFailed, Unusable
from turnout.cli.endings import Exit


@pytest.fixture(scope="module")
def made_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Making its tables takes longer than all else."""
    directory = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        # The store's artifacts lie for ever below the directory in which it was made.
        patch.chdir(directory)
        mlflow.MlflowClient(f"sqlite:///{directory / 'runs.db'}").search_experiments()
    return directory / "runs.db"


@pytest.fixture
def store(made_store: Path) -> str:
    return f"sqlite:///{made_store}"


@pytest.fixture
def job_id(client: Client, worker: HandWorker) -> str:
    spec = {"text": "x", "limits": {"longest": 3}, "columns": ["a", "ü"], "ratio": 0.25}
    job = client.submit("count_words", spec, tags={"team:x": "a"})
    token = worker.start(job.id)
    worker.board(token, ("GBM_2", 0.9), ("GLM_1", 0.8), complete=True)
    worker.save(token, "model.zip", b"model", "application/zip")
    worker.save(token, "model.java", b"model", "text/x-java")
    worker.save(token, "roc.png", b"picture", "image/png")
    worker.save(token, "event_log.json", b"[]", "application/json")
    worker.succeed(token, leader="GBM_2", sort_metric="auc", test_metrics={"auc": 0.91, "logloss": None})
    return job.id


def runs(store: str, experiment: str) -> list[Any]:
    client = mlflow.MlflowClient(store)
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else list(client.search_runs([found.experiment_id]))


def test_a_job_becomes_one_run_however_often(client: Client, job_id: str, store: str) -> None:
    first = client.job(job_id).export_to_mlflow(store, "once")
    assert client.job(job_id).export_to_mlflow(store, "once") == first
    (run,) = runs(store, "once")
    assert run.info.run_id == first
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        "text": "x",
        "limits.longest": "3",
        "columns": '["a", "ü"]',
        "ratio": "0.25",
    }
    assert run.data.metrics == {"auc": 0.91}
    assert run.data.tags["turnout.job_id"] == job_id
    assert run.data.tags["turnout.leader"] == "GBM_2"
    assert run.data.tags["turnout.tag.team_x"] == "a"
    tracking = mlflow.MlflowClient(store)
    assert len(tracking.get_metric_history(first, "auc")) == 1
    files = {file.path for file in tracking.list_artifacts(first)}
    assert files == {"model.zip", "model.java", "roc.png", "leaderboard.csv"}
    board = Path(tracking.download_artifacts(first, "leaderboard.csv")).read_text()
    assert board.splitlines()[1].startswith("1,GBM_2,GBM,0.9,")


async def _exported(url: str, key: str, job_id: str, store: str) -> str:
    async with AsyncClient(url, key) as client:
        return await (await client.job(job_id)).export_to_mlflow(store, "awaited")


def test_asyncio_too(server: Any, job_id: str, store: str) -> None:
    run_id = asyncio.run(_exported(server.url, server.serving.keys.ann, job_id, store))
    assert [run.info.run_id for run in runs(store, "awaited")] == [run_id]


def test_the_command_line(turnout: Callable[..., Result], client: Client, job_id: str, store: str) -> None:
    open_job = client.submit("count_words", {"text": "x"}).id
    done = turnout("export", "mlflow", job_id, open_job, "none", "--tracking-uri", store, "--experiment", "cli")
    assert done.exit_code == Exit.USAGE
    assert [run.info.run_id for run in runs(store, "cli")] == done.stdout.split()
    assert "export it once it has ended" in done.stderr
    client.cancel(open_job)
    run_id = client.job(open_job).export_to_mlflow(store, "cli")
    killed = mlflow.MlflowClient(store).get_run(run_id)
    assert (killed.info.status, killed.data.metrics) == ("KILLED", {})


def test_what_mlflow_refuses(client: Client, job_id: str, store: str) -> None:
    tracking = mlflow.MlflowClient(store)
    tracking.delete_experiment(tracking.create_experiment("gone"))
    with pytest.raises(ExportFailed, match="was deleted in MLflow"):
        client.job(job_id).export_to_mlflow(store, "gone")
    with pytest.raises(ExportFailed, match="MLflow refused"):
        client.job(job_id).export_to_mlflow("nonsense://x", "x")
    with pytest.raises(ExportFailed, match="MLflow refused"):
        client.job(job_id).export_to_mlflow(store, "")


def test_without_mlflow_it_is_said(client: Client, job_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(Unusable, match=r"turnout\[mlflow\]"):
        client.job(job_id).export_to_mlflow("sqlite:///x.db")
