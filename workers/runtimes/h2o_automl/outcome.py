"""What a finished training is turned into: artifacts, the explanation, and the job's result."""

from dataclasses import replace

from tasks.contracts import JobContext, LeaderboardEntry
from tasks.errors import ClusterLost, StorageError
from tasks.h2o.algorithms import UNSCORED, WITHOUT_MOJO
from tasks.tabular import TableTraining, TrainingResult
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.data_preparation import frame_rows
from workers.runtimes.h2o_automl.explained_parts import PART_FAILURES
from workers.runtimes.h2o_automl.explanation import Explanation, explain
from workers.runtimes.h2o_automl.kept_models import keep_models
from workers.runtimes.h2o_automl.leader_quality import Quality, measure_quality
from workers.runtimes.h2o_automl.parquet_records import PARQUET_TYPE, parquet
from workers.runtimes.h2o_automl.report import REPORT_ARTIFACT
from workers.runtimes.h2o_automl.run_ranking import best_saved, rank_runs
from workers.runtimes.h2o_automl.run_state import RunState, SavedModel
from workers.runtimes.h2o_automl.saved_models import (
    LEADERBOARD_ARTIFACT,
    MODEL_ARTIFACT,
    SOURCE_ARTIFACT,
    download_model,
    download_source,
    leaderboard_table,
)
from workers.runtimes.h2o_automl.subject import Subject
from workers.runtimes.h2o_automl.table_check import CheckedData
from workers.runtimes.h2o_automl.tables import Table
from workers.runtimes.h2o_automl.test_frame import opened_test_frame
from workers.runtimes.h2o_automl.training import Trained
from workers.runtimes.h2o_automl.training_report import training_report
from workers.runtimes.h2o_automl.training_view import TrainingView
from workers.runtimes.h2o_automl.unsupervised import explain_unsupervised


def conclude(
    client: H2OClient, job: JobContext, spec: TableTraining, data: CheckedData, trained: Trained, share: float
) -> TrainingResult:
    """Save what is worth keeping, then explain. ``share`` of the job's progress is done when this begins."""
    state = trained.state
    job.progress(share, "Saving the best model.")
    artifacts = _save_training(client, job, trained.view)
    if state.earlier:
        trained, board = _rank(client, job, spec, trained)
        artifacts |= {"test_ranking": _save_board(job, "test_ranking", board), "model": [MODEL_ARTIFACT]}
    else:
        board = leaderboard_table(trained.view)
    view = trained.view
    leader = view.entries[0]
    kept = keep_models(client, job, spec.keep_models, view.entries, state.earlier)
    rows = frame_rows(client, spec, state.keys)
    quality = measure_quality(client, leader.model_id, state.keys.frame("test"), spec.weights_column)
    made = _explain(client, job, spec, data, trained, quality, share) if spec.explain else Explanation()
    warnings = [*trained.warnings, *_remarks(spec, trained)]
    for warning in warnings[len(trained.warnings) :]:
        job.log(warning, "warning")
    result = TrainingResult(
        problem=data.problem,
        rows=rows,
        leader=leader.model_id,
        leader_algo=leader.algo,
        sort_metric=view.sort_metric,
        models=len(view.entries),
        test_metrics=quality.metrics,
        confusion_matrix=quality.confusion,
        runs=state.run,
        stopped_early=trained.stopped_early,
        artifacts=artifacts | made.artifacts,
        kept_models=kept,
        explanation_missing=made.missing,
        warnings=warnings,
    )
    if spec.explain:
        page = training_report(spec.target, state.training, result, board, made.pictures)
        job.save_artifact(REPORT_ARTIFACT, page, "text/html; charset=utf-8")
        result = result.model_copy(update={"artifacts": {**result.artifacts, "report": [REPORT_ARTIFACT]}})
    job.progress(1.0, f"Done: the best of {len(view.entries)} models is {leader.model_id}.")
    return result


def conclude_saved(job: JobContext, data: CheckedData, state: RunState) -> TrainingResult:
    """The result of a job that was stopped before its newest run had a model: the best one saved of earlier runs."""
    best = best_saved(state.saved)
    _restore(job, best)
    warning = f"Stopped before a new run had a model; the best one, saved from run {best.run}, was not tested."
    job.log(warning, "warning")
    return TrainingResult(
        problem=data.problem,
        rows=state.rows,
        leader=best.model_id,
        leader_algo=best.algo,
        sort_metric=best.sort_metric,
        models=len(state.saved),
        test_metrics={},
        runs=state.run,
        stopped_early=True,
        artifacts={"model": [MODEL_ARTIFACT], "leaderboard": [LEADERBOARD_ARTIFACT]},
        kept_models={best.model_id: MODEL_ARTIFACT}
        | {
            model.model_id: model.artifact
            for model in state.saved
            if model.artifact not in (MODEL_ARTIFACT, best.artifact)
        },
        warnings=[warning],
    )


def _rank(client: H2OClient, job: JobContext, spec: TableTraining, trained: Trained) -> tuple[Trained, Table]:
    """The training with the models of earlier runs in its view, all in the order of the test rows, the best saved; and
    their ranking."""
    view, state = trained.view, trained.state
    ranking = rank_runs(client, job, state, view.entries, spec.weights_column)
    said = f"Run {ranking.saved.run if ranking.saved else state.run} made the best of all models on the test rows"
    if ranking.saved is not None:
        _restore(job, ranking.saved)
        said += ", and its cluster was lost; its saved model is the result"
    elif ranking.best.model_id != view.entries[0].model_id:
        mojo = job.scratch / "best.zip"
        download_model(client, ranking.best.model_id, mojo)
        job.save_artifact(MODEL_ARTIFACT, mojo, "application/zip")
    view = replace(view, sort_metric=state.saved[-1].sort_metric, entries=ranking.of_all(view.entries))
    return replace(trained, view=view, warnings=(*trained.warnings, f"{said}.")), ranking.table


def _restore(job: JobContext, model: SavedModel) -> None:
    """Make a saved model the one that the job's result names."""
    if model.artifact == MODEL_ARTIFACT:
        return
    path = job.kept_artifact(model.artifact)
    if path is None:
        raise StorageError(f"The best model of run {model.run} is no longer in the store.")
    job.save_artifact(MODEL_ARTIFACT, path, "application/zip")


def _save_training(client: H2OClient, job: JobContext, view: TrainingView) -> dict[str, list[str]]:
    """The leader as a MOJO, the leaderboard and the event log; no leaderboard where no model was trained."""
    saved = {"event_log": _save_table(job, "event_log", _event_log(view))}
    if view.entries:
        saved |= _save_leader(client, job, view.entries[0])
        saved["leaderboard"] = _save_board(job, "leaderboard", leaderboard_table(view))
    return saved


def _save_leader(client: H2OClient, job: JobContext, leader: LeaderboardEntry) -> dict[str, list[str]]:
    if leader.algo in WITHOUT_MOJO:
        source = job.scratch / SOURCE_ARTIFACT
        download_source(client, leader.model_id, source)
        job.save_artifact(SOURCE_ARTIFACT, source, "text/x-java")
        return {"model_source": [SOURCE_ARTIFACT]}
    mojo = job.scratch / MODEL_ARTIFACT
    download_model(client, leader.model_id, mojo)
    job.save_artifact(MODEL_ARTIFACT, mojo, "application/zip")
    return {"model": [MODEL_ARTIFACT]}


def _remarks(spec: TableTraining, trained: Trained) -> list[str]:
    """What somebody who uses the model has to know."""
    found = []
    view, leader = trained.view, trained.view.entries[0]
    if leader.algo in WITHOUT_MOJO:
        found.append(
            f"H2O makes no MOJO of {leader.algo}, so score_table can't use this model; {SOURCE_ARTIFACT} is its Java "
            "source (POJO)."
        )
    if leader.algo in UNSCORED:
        found.append(f"score_table can't use this model: {UNSCORED[leader.algo]}.")
    if len(view.entries) > 1 and spec.target is not None and "training rows themselves" in view.measured:
        found.append(
            "The models are ranked by the rows that they learned from, which favours those that learn by heart; set "
            "nfolds, or give validation rows."
        )
    if "tot_withinss" in leader.metrics and len(view.entries) > 1:
        found.append("More clusters always have a smaller tot_withinss, so the best by it may just have the most.")
    if "mean_score" in leader.metrics and len(view.entries) > 1:
        found.append("Nothing says how good an isolation forest is; the best is the one with the lowest mean_score.")
    return found


def _save_table(job: JobContext, name: str, table: Table) -> list[str]:
    job.save_artifact(f"{name}.json", table.json(), "application/json")
    job.save_artifact(f"{name}.csv", table.csv(), "text/csv")
    return [f"{name}.json", f"{name}.csv"]


def _save_board(job: JobContext, name: str, board: Table) -> list[str]:
    """A table of models, which people go on computing with."""
    job.save_artifact(f"{name}.parquet", parquet(board), PARQUET_TYPE)
    return [*_save_table(job, name, board), f"{name}.parquet"]


def _event_log(view: TrainingView) -> Table:
    return Table(
        "Event log of the training",
        "Times of day are the cluster's.",
        ["timestamp", "level", "stage", "message"],
        [[event.timestamp, event.level, event.stage, event.message] for event in view.events],
    )


def _explain(
    client: H2OClient,
    job: JobContext,
    spec: TableTraining,
    data: CheckedData,
    trained: Trained,
    quality: Quality,
    share: float,
) -> Explanation:
    def report(done: float, now: str) -> None:
        job.progress(share + (1 - share) * done, f"Explaining: {now}.")

    response = data.response(spec.target)
    view = trained.view
    try:
        with opened_test_frame(client, trained.state.keys) as frame:
            if spec.target is None:
                return explain_unsupervised(job, frame, view.entries[0], report)
            subject = Subject(
                spec,
                data.problem,
                data.features,
                view.entries,
                quality,
                frame,
                response,
                view.sort_metric if trained.state.training.what == "AutoML" else "",
            )
            return explain(job, subject, report)
    except (ClusterLost, *PART_FAILURES) as exc:
        job.log(f"The explanation is missing: {exc}", "warning")
        return Explanation(missing=["explanation"])
