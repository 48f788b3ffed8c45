"""Ranks the models of all runs of a job on the same test rows, where a cluster was lost on the way."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.contracts import JobContext, LeaderboardEntry
from tasks.errors import StorageError
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.failures import H2OError
from workers.runtimes.h2o_automl.leader_quality import measure_quality
from workers.runtimes.h2o_automl.pareto_front import HIGHER_IS_BETTER
from workers.runtimes.h2o_automl.run_state import RunState, SavedModel
from workers.runtimes.h2o_automl.saved_models import bring_back
from workers.runtimes.h2o_automl.tables import Table

# Of the newest run's leaderboard; the earlier runs' best are all ranked.
MOST_RANKED = 20

# The run that made it, the saved model if it isn't the newest run, and its metrics.
_Contender = tuple[int, SavedModel | None, LeaderboardEntry]


@dataclass(frozen=True)
class Ranking:
    """``table`` has all ranked models, and ``order`` their ids; ``best`` is the first, with the saved model it is if an
    earlier run made it."""

    table: Table
    order: tuple[str, ...]
    best: LeaderboardEntry
    saved: SavedModel | None
    brought: tuple[LeaderboardEntry, ...]

    def of_all(self, newest: Sequence[LeaderboardEntry]) -> tuple[LeaderboardEntry, ...]:
        """The newest run's and the earlier runs' models, best first; those that were not ranked come last, as they
        came."""
        known = {entry.model_id: entry for entry in (*newest, *self.brought)}
        ranked = [known.pop(model_id) for model_id in self.order]
        return (*ranked, *known.values())


def best_saved(models: Sequence[SavedModel]) -> SavedModel:
    """The best by the score that each had in its own run; there is at least one."""
    return min(models, key=lambda model: _place(model.sort_metric, model.score))


def rank_runs(
    client: H2OClient,
    job: JobContext,
    state: RunState,
    newest: Sequence[LeaderboardEntry],
    weights_column: str | None,
) -> Ranking:
    """Score the earlier runs' best models and the newest run's on the test rows. Raises ``StorageError`` if none is
    left."""
    brought = bring_back(client, job, state)
    sort_metric = state.saved[-1].sort_metric
    contenders: list[_Contender] = [(model.run, model, entry) for model, entry in brought]
    contenders += [(state.run, None, entry) for entry in newest[:MOST_RANKED]]
    scored: list[_Contender] = []
    for run, model, entry in contenders:
        try:
            quality = measure_quality(client, entry.model_id, state.keys.frame("test"), weights_column)
        except H2OError as exc:
            job.log(f"{entry.model_id} of run {run} can't be ranked: {exc.message}", "warning")
            continue
        scored.append((run, model, LeaderboardEntry(model_id=entry.model_id, algo=entry.algo, metrics=quality.metrics)))
    if not scored:
        raise StorageError("The models saved from lost runs can't be read again, and no new one was trained.")
    # The sort is stable, so among equals the earlier run's model, which had more time, is kept.
    scored.sort(key=lambda found: _place(sort_metric, found[2].metrics.get(sort_metric)))
    _run, saved, best = scored[0]
    order = tuple(entry.model_id for _run, _model, entry in scored)
    return Ranking(_table(scored, sort_metric), order, best, saved, tuple(entry for _model, entry in brought))


def _place(sort_metric: str, score: float | None) -> tuple[bool, float]:
    """What sorts better scores first, and missing ones last."""
    if score is None:
        return True, 0.0
    return False, -score if sort_metric in HIGHER_IS_BETTER else score


def _table(scored: Sequence[_Contender], sort_metric: str) -> Table:
    metrics = list(scored[0][2].metrics)
    return Table(
        "Models of all runs on the test rows",
        f"Best first by {sort_metric}. Of a run whose cluster was lost, the best model so far was saved.",
        ["run", "model_id", "algo", *metrics],
        [
            [run, entry.model_id, entry.algo, *(entry.metrics.get(name) for name in metrics)]
            for run, _model, entry in scored
        ],
    )
