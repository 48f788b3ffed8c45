"""Which models are kept beside the leader, and what is said of those that are not."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tasks.contracts import LeaderboardEntry
from tasks.errors import JobCancelled
from tests.fakes.job_context import FakeJobContext
from workers.runtimes.h2o_automl import kept_models
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.failures import H2OError
from workers.runtimes.h2o_automl.kept_models import Wanted, artifact_name, choose, keep_models
from workers.runtimes.h2o_automl.outcome import conclude_saved
from workers.runtimes.h2o_automl.run_ranking import Ranking
from workers.runtimes.h2o_automl.run_state import RunState, SavedModel
from workers.runtimes.h2o_automl.table_check import CheckedData
from workers.runtimes.h2o_automl.tables import Table

IDS = ["StackedEnsemble_All_1", "StackedEnsemble_Best_1", "GBM_1", "XGBoost_1", "GLM_1"]
BOARD = [LeaderboardEntry(model_id=name, algo=name.split("_")[0], metrics={"auc": 0.5}) for name in IDS]


class Models:
    """Stands for the cluster: hands out a MOJO of so many bytes for each model that it has one of."""

    def __init__(self, size: int = 10, without: str = "", on_download: Callable[[], None] = lambda: None) -> None:
        self.size, self.without, self.on_download = size, without, on_download
        self.asked: list[str] = []

    def download(self, path: str, target: Path) -> None:
        model = path.split("/")[3]
        self.asked.append(model)
        self.on_download()
        if model == self.without:
            raise H2OError(500, "", "this model has no MOJO")
        target.write_bytes(b"x" * self.size)


def keep(models: Models, job: FakeJobContext, wanted: Wanted, saved: tuple[SavedModel, ...] = ()) -> dict[str, str]:
    return keep_models(cast(H2OClient, models), job, wanted, BOARD, saved)


@pytest.fixture
def job(tmp_path: Path) -> FakeJobContext:
    return FakeJobContext(tmp_path)


@pytest.mark.parametrize(
    ("wanted", "places"),
    [(None, [0, 2]), (1, [0]), (3, [0, 1, 2]), (99, [0, 1, 2, 3, 4]), ("all", [0, 1, 2, 3, 4])],
)
def test_which_are_chosen(wanted: Wanted, places: list[int]) -> None:
    assert choose(BOARD, wanted) == [BOARD[place] for place in places]


def test_a_leader_that_is_no_ensemble_is_enough() -> None:
    assert choose(BOARD[2:], None) == [BOARD[2]]
    assert choose(BOARD[:2], None) == [BOARD[0]]


def test_the_leader_is_there_already(job: FakeJobContext) -> None:
    models = Models()
    kept = keep(models, job, 3)
    assert kept == {IDS[0]: "model.zip", IDS[1]: f"model_{IDS[1]}.zip", IDS[2]: f"model_{IDS[2]}.zip"}
    assert models.asked == IDS[1:3]
    assert set(job.artifacts) == set(kept.values()) - {"model.zip"}


def test_those_of_earlier_runs_are_there_too(job: FakeJobContext) -> None:
    models = Models()
    earlier = SavedModel(1, "GBM_1", "GBM", "model_run_1.zip", "auc", 0.5)
    assert keep(models, job, 3, (earlier,))["GBM_1"] == "model_run_1.zip"
    assert models.asked == [IDS[1]]


def test_models_of_all_runs_are_kept_by_their_rank_on_the_test_rows(job: FakeJobContext) -> None:
    brought = LeaderboardEntry(model_id="DRF_1", algo="DRF", metrics={})
    unread = LeaderboardEntry(model_id="GAM_1", algo="GAM", metrics={})
    order = ("XGBoost_1", "GBM_1", "DRF_1", *IDS[:2])
    ranking = Ranking(Table("", "", [], []), order, BOARD[3], None, (brought, unread))
    entries = ranking.of_all(BOARD)
    # What could not be ranked is the worst.
    assert [entry.model_id for entry in entries] == [*order, "GLM_1", "GAM_1"]
    assert list(keep_models(cast(H2OClient, Models()), job, 2, entries)) == ["XGBoost_1", "GBM_1"]


def test_together_they_have_a_limit(job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_models, "MOST_BYTES", 25 << 20)
    assert list(keep(Models(size=10 << 20), job, "all")) == IDS[:3]
    assert job.lines[-1] == ("warning", "3 of 5 models are kept, the best ones: together they may have 25 MB.")
    assert not (job.scratch / "kept.zip").exists()


def test_one_without_a_mojo_is_left_out(job: FakeJobContext) -> None:
    assert "GBM_1" not in keep(Models(without="GBM_1"), job, "all")
    assert job.lines == [("warning", "The model GBM_1 can't be kept: this model has no MOJO")]


def test_a_cancel_is_heeded(job: FakeJobContext) -> None:
    with pytest.raises(JobCancelled):
        keep(Models(on_download=lambda: job.request("cancel")), job, "all")


def test_a_stop_leaves_little_time(job: FakeJobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    job.request("stop")
    assert len(keep(Models(), job, "all")) == 5
    monkeypatch.setattr(kept_models, "STOPPED_SECONDS", -1.0)
    assert list(keep(Models(), job, "all")) == IDS[:1]
    assert "the job was asked to stop" in job.lines[-1][1]


def test_what_runs_kept_before_a_stop_is_told(job: FakeJobContext) -> None:
    path = job.scratch / "saved.zip"
    path.write_bytes(b"best")
    job.save_artifact("model_run_1.zip", path, "application/zip")
    saved = (
        SavedModel(1, "GBM_1", "GBM", "model_run_1.zip", "auc", 0.9),
        SavedModel(2, "GLM_1", "GLM", "model_run_2.zip", "auc", 0.8),
        SavedModel(3, "DRF_1", "DRF", "model.zip", "auc", 0.7),
    )
    state = RunState("j", "y", 3, "c", saved=saved)
    result = conclude_saved(job, cast(CheckedData, SimpleNamespace(problem="classification")), state)
    # What was model.zip before is no longer there.
    assert result.kept_models == {"GBM_1": "model.zip", "GLM_1": "model_run_2.zip"}
    assert job.artifacts["model.zip"][0].read_bytes() == b"best"


def test_names_of_artifacts() -> None:
    assert artifact_name("GBM_1_AutoML_2") == "model_GBM_1_AutoML_2.zip"
    odd, other = artifact_name("größe/1"), artifact_name("größe:1")
    assert odd != other
    assert odd.startswith("model_gr__e_1_")
    assert len(artifact_name("x" * 500)) <= 200


def test_an_algorithm_without_mojo_has_nothing_to_keep(job: FakeJobContext) -> None:
    models = Models()
    board = [LeaderboardEntry(model_id=f"NB_{number}", algo="NaiveBayes", metrics={}) for number in (1, 2)]
    assert keep_models(cast(H2OClient, models), job, "all", board) == {}
    assert models.asked == []
