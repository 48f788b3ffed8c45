"""Keeps the best model so far outside the cluster while it trains, and brings those of lost runs into the next one.

H2O can't resume an AutoML whose cluster died. Its recovery of grids isn't used either: it wants a directory that every
node of the old and the new cluster can write, where it puts the data too, and its models come back without what they
measured in cross-validation, so nothing could rank them with new ones.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tasks.contracts import JobContext, LeaderboardEntry
from tasks.h2o.algorithms import WITHOUT_MOJO
from workers.runtimes.h2o_automl.client import H2OClient, path_part
from workers.runtimes.h2o_automl.failures import H2OError
from workers.runtimes.h2o_automl.frames import await_job, remove_key
from workers.runtimes.h2o_automl.run_state import RunState, SavedModel
from workers.runtimes.h2o_automl.tables import Table
from workers.runtimes.h2o_automl.training_view import TrainingView

MODEL_ARTIFACT = "model.zip"
SOURCE_ARTIFACT = "model.java"
LEADERBOARD_ARTIFACT = "leaderboard.json"
# Saving takes at most this share of the time, so that large models don't hold up the live leaderboard.
MOST_SAVING_SHARE = 0.1


def download_model(client: H2OClient, model_id: str, target: Path) -> None:
    """Write the model as a MOJO, which scores without a cluster."""
    client.download(f"/3/Models/{path_part(model_id)}/mojo", target)


def download_source(client: H2OClient, model_id: str, target: Path) -> None:
    """Write the model as Java source (a POJO), for those that H2O makes no MOJO of."""
    client.download(f"/3/Models.java/{path_part(model_id)}", target)


def leaderboard_table(view: TrainingView) -> Table:
    metrics = list(view.entries[0].metrics)
    return Table(
        "Leaderboard",
        f"All models, best first by {view.sort_metric}, {view.measured}.",
        ["model_id", "algo", *metrics],
        [[entry.model_id, entry.algo, *(entry.metrics.get(name) for name in metrics)] for entry in view.entries],
    )


class LeaderSaver:
    """Saves the leader and the leaderboard as the job's artifacts whenever the leader changes."""

    def __init__(self, client: H2OClient, job: JobContext) -> None:
        self._client = client
        self._job = job
        self._failed: set[str] = set()
        self._due = 0.0

    def save(self, state: RunState, view: TrainingView) -> RunState:
        """Save the leader if it isn't yet, and keep in the checkpoint that it is; answers the state after it."""
        if not view.entries or time.monotonic() < self._due:
            return state
        leader = view.entries[0]
        if leader.algo in WITHOUT_MOJO:
            return state
        score = leader.metrics.get(view.sort_metric)
        known = {model.run: (model.model_id, model.score) for model in state.saved}
        # A model of its own is the leader from the beginning, and gets better.
        if known.get(state.run) == (leader.model_id, score) or leader.model_id in self._failed:
            return state
        began = time.monotonic()
        try:
            self._save(view)
        except H2OError as exc:
            self._failed.add(leader.model_id)
            self._job.log(f"The best model so far can't be kept outside the cluster: {exc.message}", "warning")
            return state
        now = time.monotonic()
        self._due = now + (now - began) / MOST_SAVING_SHARE
        saved = SavedModel(
            state.run,
            leader.model_id,
            leader.algo,
            MODEL_ARTIFACT,
            view.sort_metric,
            score,
        )
        state = replace(state, saved=(*state.earlier, saved))
        self._job.checkpoint(state.document())
        return state

    def _save(self, view: TrainingView) -> None:
        mojo = self._job.scratch / "leader.zip"
        download_model(self._client, view.entries[0].model_id, mojo)
        self._job.save_artifact(MODEL_ARTIFACT, mojo, "application/zip")
        self._job.save_artifact(LEADERBOARD_ARTIFACT, leaderboard_table(view).json(), "application/json")
        mojo.unlink()


def set_aside(job: JobContext, state: RunState) -> RunState:
    """Keep the best model of the run before this one under a name of its own, as this run will save its own."""
    kept = []
    for model in state.earlier:
        if model.artifact == MODEL_ARTIFACT:
            moved = _copied(job, model)
            if moved is None:
                job.log(f"The best model of run {model.run} is no longer in the store.", "warning")
                continue
            model = moved
        kept.append(model)
    return replace(state, saved=tuple(kept))


def _copied(job: JobContext, model: SavedModel) -> SavedModel | None:
    path = job.kept_artifact(MODEL_ARTIFACT)
    if path is None:
        return None
    name = f"model_run_{model.run}.zip"
    job.save_artifact(name, path, "application/zip")
    board = job.kept_artifact(LEADERBOARD_ARTIFACT)
    if board is not None:
        job.save_artifact(f"leaderboard_run_{model.run}.json", board, "application/json")
    return replace(model, artifact=name)


def bring_back(client: H2OClient, job: JobContext, state: RunState) -> list[tuple[SavedModel, LeaderboardEntry]]:
    """Load the earlier runs' best models into the cluster, under their own ids; one that fails is left out."""
    brought = []
    for model in state.earlier:
        path = job.kept_artifact(model.artifact)
        if path is None:
            job.log(f"The best model of run {model.run} is no longer in the store.", "warning")
            continue
        try:
            _load(client, path, model.model_id, uploaded_key(state, model))
        except H2OError as exc:
            job.log(f"The best model of run {model.run} can't be loaded again: {exc.message}", "warning")
            continue
        brought.append((model, LeaderboardEntry(model_id=model.model_id, algo=model.algo, metrics={})))
    return brought


def uploaded_key(state: RunState, model: SavedModel) -> str:
    """The key of a saved model's file in the cluster."""
    return f"{state.keys.prefix}saved_{model.run}"


def remove_brought(client: H2OClient, models: Sequence[SavedModel]) -> None:
    """Remove earlier runs' models, whose names don't have the job's prefix."""
    for model in models:
        remove_key(client, model.model_id)


def _load(client: H2OClient, path: Path, model_id: str, key: str) -> None:
    client.upload(path, key)
    begun = client.post("/3/ModelBuilders/generic", {"model_id": model_id, "model_key": key})
    await_job(client, begun["job"]["key"]["name"], _nothing)


def _nothing() -> None:
    """Loading is short; a request to end is heeded after it."""
