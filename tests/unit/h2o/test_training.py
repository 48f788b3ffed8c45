"""How a run is watched, ended and given up."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import ClusterLost, JobCancelled, UpstreamError
from tasks.kinds.train_automl import TrainAutoML
from tests.fakes.job_context import FakeJobContext
from tests.unit.h2o.fake_client import FakeClient, h2o_job
from workers.runtimes.h2o_automl import training
from workers.runtimes.h2o_automl.cleanup import remove_run_frames
from workers.runtimes.h2o_automl.client import LONG_READ_SECONDS
from workers.runtimes.h2o_automl.failures import H2OError, translate
from workers.runtimes.h2o_automl.frames import await_job, remove_key, split_frame
from workers.runtimes.h2o_automl.run_state import Entry, RunState, SavedModel, enter
from workers.runtimes.h2o_automl.saved_models import LeaderSaver
from workers.runtimes.h2o_automl.trainable import trainable
from workers.runtimes.h2o_automl.training_progress import Progress

STATE = RunState("0" * 32, "y", 1, "cluster-1", phase="training", job_key="k", used_seconds=30)
SPEC = TrainAutoML.model_validate({"dataset": {"file": "f"}, "target": "y"})
GLM = "GLM_1_AutoML_1_20260101_000000"
ONE_MODEL = {"columns": [{"name": "model_id"}], "data": [[GLM]]}


class FakeRun(FakeClient):
    """A cluster with one H2O job, which a cancel ends."""

    def __init__(self, dest: str, status: str = "RUNNING", board: Any = None) -> None:
        self.job = h2o_job("k", status, dest)
        super().__init__(
            {
                "GET /3/Jobs/k": lambda: {"jobs": [self.job]},
                "GET /3/Jobs": lambda: {"jobs": [h2o_job("other", "RUNNING", "other"), self.job]},
                "GET /3/Frames": lambda: {"frames": []},
                "POST /3/Jobs/k/cancel": self._cancel,
                f"GET /3/Models/{GLM}/mojo": lambda: b"MOJO",
                f"GET /99/AutoML/{STATE.keys.project}": lambda: {
                    "project_name": STATE.keys.project,
                    "leaderboard": {"sort_metric": "auc"},
                    "leaderboard_table": board,
                    "event_log_table": None,
                },
            }
        )

    def _cancel(self) -> None:
        self.job["status"] = "CANCELLED"


@pytest.fixture
def job(tmp_path: Path) -> FakeJobContext:
    return FakeJobContext(tmp_path)


def watch(client: FakeClient, job: FakeJobContext, state: RunState = STATE) -> training.Trained:
    return training.Watch(client.as_client, job, SPEC, state, 1.0).until_end()


def test_what_ends_a_wait_ends_the_h2o_job_too() -> None:
    client = FakeRun("frame")

    def cancel() -> None:
        raise JobCancelled("It was cancelled.")

    with pytest.raises(JobCancelled):
        await_job(client.as_client, "k", cancel)
    assert client.job["status"] == "CANCELLED"


def test_a_parse_that_nobody_watches_is_ended_before_its_frames_are_removed() -> None:
    client = FakeRun(STATE.keys.frame("data"))
    remove_run_frames(client.as_client, STATE.keys)
    assert client.job["status"] == "CANCELLED"
    assert client.asked.index("POST /3/Jobs/k/cancel") < client.asked.index("GET /3/Frames")


def test_data_in_use_is_tried_again() -> None:
    error = H2OError(400, "IllegalArgumentException", "job_1_data is already in use.")
    assert isinstance(translate(error, "reading the data"), UpstreamError)


def test_a_run_cancelled_inside_the_cluster_is_abandoned(job: FakeJobContext) -> None:
    with pytest.raises(ClusterLost, match="trained anew"):
        watch(FakeRun("automl", "CANCELLED"), job)
    assert job.checkpoints[-1]["phase"] == "abandoned"


def test_an_abandoned_run_is_followed_by_the_next_one_with_the_remaining_budget() -> None:
    how, state = enter(replace(STATE, phase="abandoned"), "j", "y", "cluster-1", lambda _run: True)
    assert (how, state.run, state.spent_seconds, state.phase) == (Entry.BEGIN, 2, 30, "preparing")


def test_a_job_that_is_not_found_abandons_its_run(job: FakeJobContext) -> None:
    with pytest.raises(ClusterLost, match="trained anew"):
        training.attach(FakeRun("other").as_client, job, replace(STATE, job_key=""))
    assert job.checkpoints[-1]["phase"] == "abandoned"


def test_what_a_lost_cluster_trained_counts_against_the_next_run(job: FakeJobContext) -> None:
    client = FakeRun("automl")
    alive = [client.answers["GET /3/Jobs/k"]]

    def answer() -> Any:
        if not alive:
            raise ClusterLost("The H2O cluster stopped answering.")
        return alive.pop()()

    client.answers["GET /3/Jobs/k"] = answer
    with pytest.raises(ClusterLost, match="stopped answering"):
        watch(client, job, replace(STATE, used_seconds=0))
    saved = RunState.from_document(job.checkpoints[-1])
    assert (saved.phase, saved.used_seconds) == ("training", 1)
    assert saved.next_run("cluster-2").remaining_seconds(60) == 59


def test_a_stop_that_was_saved_but_never_sent_is_sent(job: FakeJobContext) -> None:
    client = FakeRun("automl", board=ONE_MODEL)
    trained = watch(client, job, replace(STATE, stopping=True))
    assert trained.stopped_early
    assert client.asked.count("POST /3/Jobs/k/cancel") == 1


def test_removing_and_splitting_may_take_long() -> None:
    client = FakeClient({"DELETE /3/DKV/k": lambda: None, "POST /99/Rapids": dict})
    client.answers |= {"POST /4/sessions": lambda: {"session_key": "s"}, "DELETE /4/sessions/s": lambda: None}
    client.answers |= {"DELETE /3/DKV/k_random": lambda: None}
    remove_key(client.as_client, "k")
    split_frame(client.as_client, "k", [("a", 0.5), ("b", 0.5)], 1)
    assert client.read_seconds["DELETE /3/DKV/k"] == LONG_READ_SECONDS
    assert client.read_seconds["POST /99/Rapids"] == LONG_READ_SECONDS


def test_a_leaderboard_that_is_ranked_anew_takes_nothing_back(
    job: FakeJobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = FakeRun("automl")
    boards: list[Any] = [ONE_MODEL, None, ONE_MODEL]
    seen = client.answers[f"GET /99/AutoML/{STATE.keys.project}"]

    def look() -> Any:
        board = boards.pop(0)
        if len(boards) == 1:
            client.job = {**client.job, "status": "DONE"}
        return {**seen(), "leaderboard_table": board}

    client.answers[f"GET /99/AutoML/{STATE.keys.project}"] = look
    monkeypatch.setattr(training, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(training, "measure", lambda *, models, **_: Progress(models / 10, f"{models}", None))
    watch(client, job)
    assert [fraction for fraction, _, _ in job.reports] == [0.1]
    assert [len(board.entries) for board in job.boards] == [1, 1]


def test_the_leader_is_saved_while_it_trains(job: FakeJobContext) -> None:
    client = FakeRun("automl", board=ONE_MODEL)
    state = watch(client, job, replace(STATE, stopping=True)).state
    assert [model.model_id for model in state.saved] == [GLM]
    assert RunState.from_document(job.checkpoints[-1]).saved == state.saved
    assert job.artifacts["model.zip"][0].read_bytes() == b"MOJO"
    assert client.asked.count(f"GET /3/Models/{GLM}/mojo") == 1


def test_a_leader_that_can_not_be_saved_is_said_once(job: FakeJobContext) -> None:
    client = FakeRun("automl", board=ONE_MODEL)

    def refuse() -> bytes:
        raise H2OError(412, "", "there is no MOJO of it")

    client.answers[f"GET /3/Models/{GLM}/mojo"] = refuse
    saver = LeaderSaver(client.as_client, job)
    view = trainable(client.as_client, STATE).look(client.job)
    assert view is not None
    assert saver.save(STATE, view) == saver.save(STATE, view) == STATE
    assert [level for level, _ in job.lines] == ["warning"]
    assert job.artifacts == {}


def test_a_run_without_models_leaves_what_was_saved_before(job: FakeJobContext) -> None:
    state = replace(STATE, run=2, saved=(SavedModel(1, GLM, "GLM", "model_run_1.zip", "auc", 0.5),))
    client = FakeRun("automl", "DONE")
    client.answers[f"GET /99/AutoML/{state.keys.project}"] = client.answers[f"GET /99/AutoML/{STATE.keys.project}"]
    trained = watch(client, job, state)
    assert trained.view.entries == ()
    assert "Run 2 trained no model" in trained.warnings[0]
