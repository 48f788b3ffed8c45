"""Where an attempt goes on, with what names and what budget."""

from dataclasses import replace

import pytest

from workers.runtimes.h2o_automl.keys import RunKeys, response_name
from workers.runtimes.h2o_automl.run_ranking import best_saved
from workers.runtimes.h2o_automl.run_state import AUTOML, Entry, RunState, SavedModel, Training, enter

SAVED = RunState("0" * 32, "y", 1, "cluster-1", phase="training", job_key="k", spent_seconds=5, used_seconds=30)


def known(_state: RunState) -> bool:
    return True


def unknown(_state: RunState) -> bool:
    return False


def test_the_first_attempt_begins_the_first_run() -> None:
    assert enter(None, "j", "y", "cluster-1", unknown) == (Entry.BEGIN, RunState("j", "y", 1, "cluster-1"))


@pytest.mark.parametrize("phase", ["starting", "training", "trained"])
def test_an_automl_that_the_cluster_has_is_attached_to(phase: str) -> None:
    saved = RunState.from_document({**SAVED.document(), "phase": phase})
    assert enter(saved, "j", "y", "cluster-1", known) == (Entry.ATTACH, saved)


@pytest.mark.parametrize("phase", ["preparing", "starting"])
def test_a_run_that_never_started_is_repeated_under_its_names(phase: str) -> None:
    saved = RunState.from_document({**SAVED.document(), "phase": phase})
    how, state = enter(saved, "j", "y", "cluster-1", unknown)
    assert how is Entry.REPEAT
    assert (state.run, state.keys, state.job_key, state.phase) == (1, saved.keys, "", "preparing")


@pytest.mark.parametrize("phase", ["training", "trained"])
def test_an_automl_that_vanished_is_followed_by_the_next_run(phase: str) -> None:
    saved = RunState.from_document({**SAVED.document(), "phase": phase})
    how, state = enter(saved, "j", "y", "cluster-1", unknown)
    assert (how, state.run, state.spent_seconds, state.used_seconds) == (Entry.BEGIN, 2, 35, 0)


@pytest.mark.parametrize("phase", ["preparing", "starting", "training", "trained"])
def test_another_cluster_means_the_next_run(phase: str) -> None:
    saved = RunState.from_document({**SAVED.document(), "phase": phase})
    how, state = enter(saved, "j", "y", "cluster-2", known)
    assert (how, state.run, state.cluster_id, state.job_key) == (Entry.BEGIN, 2, "cluster-2", "")


def test_a_stopped_run_stays_stopped_only_for_itself() -> None:
    saved = replace(SAVED, stopping=True)
    assert enter(saved, "j", "y", "cluster-1", known)[1].stopping
    assert not enter(saved, "j", "y", "cluster-2", known)[1].stopping


def test_a_checkpoint_survives_its_document() -> None:
    assert RunState.from_document(SAVED.document()) == SAVED
    assert SAVED.document()["project"] == SAVED.keys.project


@pytest.mark.parametrize(
    ("limit", "spent", "remaining"), [(0, 500, 0), (100, 0, 100), (100, 40, 60), (100, 99, 10), (5, 400, 5)]
)
def test_the_budget_that_is_left(limit: float, spent: float, remaining: float) -> None:
    assert replace(SAVED, spent_seconds=spent).remaining_seconds(limit) == remaining


class TestKeys:
    def test_a_project_starts_with_a_letter_and_names_job_and_run(self) -> None:
        keys = RunKeys("0123456789abcdef" * 2, 3)
        assert keys.project == "job_0123456789abcdef0123456789abcdef_r3_automl"
        assert keys.automl("y") == f"{keys.project}@@y"

    def test_h2o_replaces_all_but_letters_and_digits_in_the_automls_key(self) -> None:
        keys = RunKeys("0" * 32, 1)
        assert keys.automl("house price/a@b_1") == f"{keys.project}@@house_price_a_b_1"

    def test_a_target_beyond_ascii_gets_a_free_name(self) -> None:
        assert response_name("house price", ["house price"]) == "house price"
        assert response_name("größe", ["größe"]) == "target"
        assert response_name("größe", ["größe", "target", "target_2"]) == "target_3"

    @pytest.mark.parametrize("one", [RunKeys("a" * 32, 1), RunKeys("job", 1), RunKeys("job 1", 1)])
    @pytest.mark.parametrize("other", [RunKeys("a" * 32, 10), RunKeys("a" * 31 + "b", 1), RunKeys("job 10", 1)])
    def test_no_run_is_part_of_anothers_names(self, one: RunKeys, other: RunKeys) -> None:
        for name in (other.project, other.frame("train"), other.automl("y")):
            assert one.prefix not in name
        for name in (one.project, one.frame("train"), one.automl("y")):
            assert other.prefix not in name

    def test_every_run_has_the_jobs_prefix(self) -> None:
        assert RunKeys("x", 12).project.startswith(RunKeys("x", 1).job_prefix)


GBM = SavedModel(1, "GBM_1", "GBM", "model.zip", "auc", 0.9)


def test_what_was_saved_survives_the_checkpoint_and_the_next_run() -> None:
    state = replace(SAVED, saved=(GBM,), rows={"train": 60, "test": 40})
    assert RunState.from_document(state.document()) == state
    assert state.earlier == ()
    after = state.next_run("cluster-2")
    assert (after.saved, after.earlier, after.rows) == ((GBM,), (GBM,), state.rows)


@pytest.mark.parametrize(
    ("sort_metric", "scores", "best"),
    [
        ("auc", [0.5, 0.9, 0.7], 1),
        ("rmse", [0.5, 0.9, 0.7], 0),
        ("auc", [None, 0.1, None], 1),
        ("rmse", [None, None], 0),
        ("auc", [0.9, 0.9], 0),
    ],
)
def test_the_best_of_the_saved_models(sort_metric: str, scores: list[float | None], best: int) -> None:
    models = [replace(GBM, run=run, sort_metric=sort_metric, score=score) for run, score in enumerate(scores)]
    assert best_saved(models) is models[best]


def test_what_is_trained_survives_the_checkpoint_and_the_next_run() -> None:
    grid = Training("grid", "GBM", "RMSE")
    _how, state = enter(None, "j", "y", "cluster-1", unknown, grid)
    assert RunState.from_document(state.document()).next_run("cluster-2").training == grid
    # Checkpoints of before there were grids say nothing.
    assert RunState.from_document({"job_id": "j", "target": "y", "run": 1, "cluster_id": "c"}).training == AUTOML


def test_a_grid_s_names_have_the_run_s_prefix_and_begin_with_the_algorithm() -> None:
    keys = RunKeys("0" * 32, 1)
    assert keys.trained("GBM", "grid").startswith("GBM_")
    assert keys.prefix in keys.trained("GBM", "grid")
    assert RunKeys("0" * 32, 11).prefix not in keys.trained("GBM", "model")
