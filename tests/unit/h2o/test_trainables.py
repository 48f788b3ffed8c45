"""How a grid and a model of its own are read while they train, and what is kept of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.kinds.train_h2o_model import TrainH2OModel
from tests.fakes.job_context import FakeJobContext
from tests.unit.h2o.fake_client import FakeClient, h2o_job
from workers.runtimes.h2o_automl import trainable_models, training
from workers.runtimes.h2o_automl.failures import H2OError
from workers.runtimes.h2o_automl.model_entry import measured_model
from workers.runtimes.h2o_automl.run_state import RunState, Training
from workers.runtimes.h2o_automl.saved_models import LeaderSaver
from workers.runtimes.h2o_automl.tables import short_model
from workers.runtimes.h2o_automl.trainable import trainable
from workers.runtimes.h2o_automl.training_progress import measure

GRID = RunState("0" * 32, "y", 1, "cluster-1", phase="training", job_key="k", training=Training("grid", "GBM"))
ALONE = replace(GRID, training=Training("model", "GBM"))
GRID_KEY = GRID.keys.trained("GBM", "grid")
MODEL_KEY = GRID.keys.trained("GBM", "model")


def model(name: str, auc: float | None, part: str = "cross_validation_metrics", **metrics: Any) -> dict[str, Any]:
    found = None if auc is None else {"AUC": auc, "logloss": 0.5, **metrics}
    output = {"model_category": "Binomial", "training_metrics": None, "validation_metrics": None, part: found}
    return {"model_id": {"name": name}, "timestamp": 0, "output": output}


class FakeGrid(FakeClient):
    """A grid whose models are those in ``models``, by number."""

    def __init__(self) -> None:
        self.job = h2o_job("k", "RUNNING", GRID_KEY) | {"progress": 0.0, "progress_msg": "Built 3 trees."}
        self.models: dict[int, dict[str, Any]] = {}
        self.failures: list[str] = []
        super().__init__({"GET /3/Jobs/k": lambda: {"jobs": [self.job]}, f"GET /99/Grids/{GRID_KEY}": self._grid})
        for number in range(1, 6):
            self.answers[f"GET /3/Models/{GRID_KEY}_model_{number}"] = lambda number=number: {  # type: ignore[misc]
                "models": [self.models[number]]
            }

    def add(self, number: int, auc: float) -> None:
        self.models[number] = model(f"{GRID_KEY}_model_{number}", auc)
        self.job["progress"] += 0.2

    def _grid(self) -> dict[str, Any]:
        names = [found["model_id"]["name"] for found in self.models.values()]
        return {
            "model_ids": [{"name": name} for name in reversed(names)],
            "failure_details": self.failures,
            "hyper_names": ["max_depth"],
            "summary_table": {
                "columns": [{"name": "max_depth"}, {"name": "model_ids"}],
                "data": [[3.0] * len(names), names],
            },
        }


def test_a_grid_s_models_are_ranked_and_each_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainable_models, "LEAST_PAUSE_SECONDS", 600.0)
    client = FakeGrid()
    seen = trainable(client.as_client, GRID)
    client.add(1, 0.7)
    client.add(3, 0.9)
    view = seen.look(client.job)
    assert view is not None
    assert [entry.model_id for entry in view.entries] == [f"{GRID_KEY}_model_3", f"{GRID_KEY}_model_1"]
    assert (view.sort_metric, view.measured) == ("auc", "measured by cross-validation")
    assert [event.message for event in view.events] == [
        f"Trained {GRID_KEY}_model_1 with max_depth 3.0: auc 0.7",
        f"Trained {GRID_KEY}_model_3 with max_depth 3.0: auc 0.9",
    ]
    assert view.now_training == "Built 3 trees"
    assert view.entries[0].algo == "GBM"
    assert seen.look(client.job) is not None
    client.add(4, 0.8)
    again = seen.look(client.job)
    assert again is not None
    assert [entry.metrics["auc"] for entry in again.entries] == [0.9, 0.8, 0.7]
    # Nothing is asked for at once while the grid's job stands still, as its answer is large.
    assert client.asked.count(f"GET /99/Grids/{GRID_KEY}") == 2
    assert client.asked.count(f"GET /3/Models/{GRID_KEY}_model_1") == 1


def test_what_failed_is_told_but_not_what_a_stop_ended() -> None:
    client = FakeGrid()
    client.failures = ["Job Canceled", "water.exceptions.XException: ERRR on field: _mtries: too many\n"]
    view = trainable(client.as_client, GRID).look(client.job)
    assert view is not None
    assert view.complaint == "ERRR on field: _mtries: too many"
    assert [event.message for event in view.events] == ["A model failed: ERRR on field: _mtries: too many"]


def test_events_are_only_ever_added() -> None:
    client = FakeGrid()
    seen = trainable(client.as_client, GRID)
    client.add(1, 0.7)
    client.failures = ["too many"]
    first = seen.look(client.job)
    client.add(3, 0.9)
    second = seen.look(client.job)
    assert first is not None
    assert second is not None
    assert second.events[: len(first.events)] == first.events
    assert second.events[-1].message.startswith(f"Trained {GRID_KEY}_model_3")


def test_a_grid_that_is_gone_is_none() -> None:
    client = FakeGrid()

    def gone() -> None:
        raise H2OError(404, "", "not found")

    client.answers[f"GET /99/Grids/{GRID_KEY}"] = gone
    assert trainable(client.as_client, GRID).look(client.job) is None
    assert not trainable(client.as_client, GRID).exists()


class FakeModel(FakeClient):
    """A model of its own that gets better with each look."""

    def __init__(self, aucs: list[float | None]) -> None:
        self.job = h2o_job("k", "RUNNING", MODEL_KEY) | {"progress": 0.25, "progress_msg": "Building."}
        self.aucs = aucs
        super().__init__(
            {
                "GET /3/Jobs/k": lambda: {"jobs": [self.job]},
                "GET /3/Jobs": lambda: {"jobs": [self.job]},
                f"GET /3/Models/{MODEL_KEY}": self._model,
                f"GET /3/Models/{MODEL_KEY}/mojo": lambda: b"MOJO",
            }
        )

    def _model(self) -> dict[str, Any]:
        if len(self.aucs) == 1:
            self.job["status"] = "DONE"
        auc = self.aucs.pop(0)
        if auc is None:
            raise H2OError(404, "", "not found")
        return {"models": [model(MODEL_KEY, auc, "training_metrics")]}


@pytest.fixture
def job(tmp_path: Path) -> FakeJobContext:
    return FakeJobContext(tmp_path)


def test_a_model_is_shown_and_saved_while_it_gets_better(job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(training, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr("workers.runtimes.h2o_automl.saved_models.MOST_SAVING_SHARE", float("inf"))
    client = FakeModel([None, 0.6, 0.8, 0.8, 0.9, 0.9])
    spec = TrainH2OModel.model_validate({"dataset": {"file": "f"}, "target": "y", "algo": "GBM"})
    trained = training.Watch(client.as_client, job, spec, ALONE, 1.0).until_end()
    assert [board.entries[0].metrics["auc"] for board in job.boards] == [0.6, 0.8, 0.9, 0.9]
    assert [entry.model_id for entry in trained.view.entries] == [MODEL_KEY]
    assert client.asked.count(f"GET /3/Models/{MODEL_KEY}/mojo") == 3
    assert [saved.score for saved in trained.state.saved] == [0.9]
    assert any("25% of the model trained" in message for _, message, _ in job.reports)
    assert [line for _, line in job.lines] == [f"Trained {MODEL_KEY}: auc 0.9"]


def test_a_model_that_runs_but_can_not_be_seen_yet_exists() -> None:
    assert trainable(FakeModel([None]).as_client, ALONE).exists()


def test_the_job_of_the_whole_is_found_among_those_of_its_parts() -> None:
    client = FakeModel([])
    whole, fold = h2o_job("k", "RUNNING", MODEL_KEY), h2o_job("f", "RUNNING", f"{MODEL_KEY}_cv_1")
    client.answers["GET /3/Jobs"] = lambda: {"jobs": [fold, whole]}
    assert training.find_job(client.as_client, ALONE) == "k"


def test_what_has_no_mojo_is_not_saved_in_between(job: FakeJobContext) -> None:
    state = replace(ALONE, training=Training("model", "NaiveBayes"))
    client = FakeModel([0.6])
    name = state.keys.trained("NaiveBayes", "model")
    client.answers[f"GET /3/Models/{name}"] = lambda: {"models": [model(name, 0.6)]}
    view = trainable(client.as_client, state).look(client.job)
    assert view is not None
    assert LeaderSaver(client.as_client, job).save(state, view) == state
    assert job.lines == []


@pytest.mark.parametrize(
    ("category", "sort_metric", "metrics", "sorted_by"),
    [
        ("Regression", "AUTO", {"RMSE": 2.0, "mae": 1.0}, "rmse"),
        ("Regression", "deviance", {"mean_residual_deviance": 2.0}, "mean_residual_deviance"),
        ("Multinomial", "AUTO", {"mean_per_class_error": 0.2}, "mean_per_class_error"),
        ("Clustering", "AUTO", {"tot_withinss": 5.0}, "tot_withinss"),
        ("AnomalyDetection", "AUTO", {"mean_score": 5.0}, "mean_score"),
    ],
)
def test_what_a_model_is_ranked_by(category: str, sort_metric: str, metrics: Any, sorted_by: str) -> None:
    found = model("GBM_1", 0.5, "training_metrics", **metrics)
    found["output"]["model_category"] = category
    measured = measured_model(found, sort_metric)
    assert measured is not None
    assert measured.sort_metric == sorted_by
    assert measured.entry.metrics[sorted_by] == next(iter(metrics.values()))


def test_validation_rows_count_for_more_than_training_rows() -> None:
    found = model("GBM_1", 0.5, "validation_metrics")
    found["output"]["training_metrics"] = {"AUC": 0.9}
    measured = measured_model(found, "AUTO")
    assert measured is not None
    assert (measured.entry.metrics["auc"], measured.measured) == (0.5, "measured on the validation rows")
    assert measured_model(model("GBM_1", None), "AUTO") is None


def test_the_share_of_one_model_is_its_progress() -> None:
    found = measure(models=0, max_models=1, elapsed_seconds=10, budget_seconds=0, now_training=None, share=0.25)
    assert (found.fraction, found.eta_seconds, found.message) == (0.25, 30, "25% of the model trained")
    begun = measure(models=0, max_models=1, elapsed_seconds=10, budget_seconds=0, now_training=None, share=0)
    assert begun.eta_seconds is None


def test_a_job_s_models_are_called_without_its_id() -> None:
    assert short_model(f"{GRID_KEY}_model_12") == "GBM_grid_model_12"
    assert short_model(MODEL_KEY) == "GBM_model"
