"""One real cluster for the whole suite, and jobs to run on it."""

import importlib.util
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sklearn.datasets import load_diabetes, load_wine, make_circles

from tasks.contracts import Document, StopMode
from tasks.kinds.train_automl import AutoMLResult, TrainAutoML, run
from tests.contract.h2o.keeper_process import KeeperProcess, free_port_pair
from tests.fakes.job_context import FakeJobContext
from workers.runtimes.h2o_automl import create
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.connection import KeptCluster
from workers.runtimes.h2o_automl.frames import frame_names
from workers.runtimes.h2o_automl.runtime import H2OAutoMLRuntime

MakeJob = Callable[..., FakeJobContext]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without H2O the suite is skipped at home, and fails where everything has to be installed."""
    if importlib.util.find_spec("h2o") is None and not os.environ.get("CI"):
        for item in items:
            if "contract/h2o" in item.nodeid:
                item.add_marker(pytest.mark.skip(reason="h2o is not installed"))


@pytest.fixture(scope="session")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeeperProcess]:
    started = KeeperProcess(tmp_path_factory.mktemp("keeper"), free_port_pair())
    try:
        started.await_cluster()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def h2o(keeper: KeeperProcess) -> H2OAutoMLRuntime:
    return create({"cluster_file": str(keeper.cluster_file)})


@pytest.fixture
def client(keeper: KeeperProcess) -> Iterator[H2OClient]:
    opened = H2OClient(KeptCluster(keeper.cluster_file), lambda: None)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """CSV files by the id that specs name them with."""
    directory = tmp_path_factory.mktemp("tables")
    circles, y = make_circles(n_samples=1000, noise=0.2, factor=0.5, random_state=9)
    written = {
        "circle": (["x1", "x2"], circles, y, "y"),
        "wine": ([f"feature {n}" for n in range(13)], *load_wine(return_X_y=True), "cultivar"),
        "diabetes": ([f"f{n}" for n in range(10)], *load_diabetes(return_X_y=True), "progression"),
    }
    for name, (columns, rows, targets, target) in written.items():
        lines = [",".join([*columns, target])]
        lines += [
            ",".join([*map(repr, map(float, row)), f"{label:g}"]) for row, label in zip(rows, targets, strict=True)
        ]
        (directory / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return {name: directory / f"{name}.csv" for name in written}


@pytest.fixture
def make_job(tmp_path: Path, tables: dict[str, Path], h2o: H2OAutoMLRuntime) -> Iterator[MakeJob]:
    """Makes attempts of jobs, and cleans up after all of them in the end."""
    made: list[FakeJobContext] = []

    def make(job_id: str | None = None, attempt: int = 1, saved_checkpoint: Document | None = None) -> FakeJobContext:
        job_id = job_id or uuid.uuid4().hex
        directory = tmp_path / f"{job_id}_{attempt}"
        job = FakeJobContext(directory, tables, job_id=job_id, attempt=attempt, saved_checkpoint=saved_checkpoint)
        made.append(job)
        return job

    yield make
    for job in made:
        if job.saved_checkpoint is not None:
            h2o.clean_up(job.saved_checkpoint)


def train(spec: TrainAutoML, job: FakeJobContext, h2o: H2OAutoMLRuntime) -> AutoMLResult:
    """What a worker does with a job of this kind."""
    result = run.run(spec, job, h2o)
    assert isinstance(result, AutoMLResult)
    return result


def quick_spec(dataset: str = "circle", target: str = "y", **options: object) -> TrainAutoML:
    """A training of one model, which takes about a second."""
    quick = {"include_algos": ["GLM"], "max_models": 1, "nfolds": 2, "seed": 1, "explain": False}
    return TrainAutoML.model_validate({"dataset": {"file": dataset}, "target": target, **quick, **options})


def long_spec(**options: object) -> TrainAutoML:
    """A training that ends only when it is ended, with its first model after about a second."""
    long = {"include_algos": None, "exclude_algos": ["StackedEnsemble"], "max_models": 1000, "max_runtime_secs": 0}
    return quick_spec("circle", "y", **{**long, **options})


def left_in(client: H2OClient, job_id: str = "") -> list[str]:
    """Frames and models in the cluster, or those frames that carry the job's id."""
    if job_id:
        return [name for name in frame_names(client) if job_id in name]
    models = [model["model_id"]["name"] for model in client.get("/3/Models")["models"]]
    return [*frame_names(client), *models]


def ask(job: FakeJobContext, mode: StopMode) -> None:
    """Have the user ask for that once the job's first model is there."""
    job.on_leaderboard = lambda _board: job.request(mode)
