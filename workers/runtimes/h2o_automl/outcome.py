"""What a finished training is turned into: artifacts, the explanation, and the job's result."""

from tasks.automl import AutoMLSpec
from tasks.contracts import JobContext
from tasks.errors import ClusterLost
from tasks.tabular import TrainingResult
from workers.runtimes.h2o_automl.automl_view import AutoMLView
from workers.runtimes.h2o_automl.client import H2OClient, path_part
from workers.runtimes.h2o_automl.data_preparation import frame_rows
from workers.runtimes.h2o_automl.explanation import PART_FAILURES, Explanation, Subject, explain
from workers.runtimes.h2o_automl.leader_quality import Quality, measure_quality
from workers.runtimes.h2o_automl.table_check import CheckedData
from workers.runtimes.h2o_automl.tables import Table
from workers.runtimes.h2o_automl.test_frame import opened_test_frame
from workers.runtimes.h2o_automl.training import Trained

MODEL_ARTIFACT = "model.zip"


def conclude(
    client: H2OClient, job: JobContext, spec: AutoMLSpec, data: CheckedData, trained: Trained, share: float
) -> TrainingResult:
    """Save what is worth keeping, then explain. ``share`` of the job's progress is done when this begins."""
    view, keys = trained.view, trained.state.keys
    leader = view.entries[0]
    job.progress(share, "Saving the best model.")
    artifacts = _save_training(client, job, view)
    rows = frame_rows(client, spec, keys)
    quality = measure_quality(client, leader.model_id, keys.frame("test"), spec.weights_column)
    made = _explain(client, job, spec, data, trained, quality, share) if spec.explain else Explanation()
    job.progress(1.0, f"Done: the best of {len(view.entries)} models is {leader.model_id}.")
    return TrainingResult(
        problem=data.problem,
        rows=rows,
        leader=leader.model_id,
        leader_algo=leader.algo,
        sort_metric=view.sort_metric,
        models=len(view.entries),
        test_metrics=quality.metrics,
        confusion_matrix=quality.confusion,
        runs=trained.state.run,
        stopped_early=trained.stopped_early,
        artifacts=artifacts | made.artifacts,
        explanation_missing=made.missing,
        warnings=list(trained.warnings),
    )


def _save_training(client: H2OClient, job: JobContext, view: AutoMLView) -> dict[str, list[str]]:
    """The leader as a MOJO (which scores without a cluster), the leaderboard and the event log."""
    mojo = job.scratch / MODEL_ARTIFACT
    client.download(f"/3/Models/{path_part(view.entries[0].model_id)}/mojo", mojo)
    job.save_artifact(MODEL_ARTIFACT, mojo, "application/zip")
    for name, table in (("leaderboard", _leaderboard(view)), ("event_log", _event_log(view))):
        job.save_artifact(f"{name}.json", table.json(), "application/json")
        job.save_artifact(f"{name}.csv", table.csv(), "text/csv")
    return {
        "model": [MODEL_ARTIFACT],
        "leaderboard": ["leaderboard.json", "leaderboard.csv"],
        "event_log": ["event_log.json", "event_log.csv"],
    }


def _leaderboard(view: AutoMLView) -> Table:
    metrics = list(view.entries[0].metrics)
    return Table(
        "Leaderboard",
        f"All models, best first by {view.sort_metric}, measured in training (by cross-validation unless off).",
        ["model_id", "algo", *metrics],
        [[entry.model_id, entry.algo, *(entry.metrics.get(name) for name in metrics)] for entry in view.entries],
    )


def _event_log(view: AutoMLView) -> Table:
    return Table(
        "Event log of the AutoML",
        "Times of day are the cluster's.",
        ["timestamp", "level", "stage", "message"],
        [[event.timestamp, event.level, event.stage, event.message] for event in view.events],
    )


def _explain(
    client: H2OClient,
    job: JobContext,
    spec: AutoMLSpec,
    data: CheckedData,
    trained: Trained,
    quality: Quality,
    share: float,
) -> Explanation:
    def report(done: float, now: str) -> None:
        job.progress(share + (1 - share) * done, f"Explaining: {now}.")

    response = data.response(spec.target)
    try:
        with opened_test_frame(client, trained.state.keys) as frame:
            subject = Subject(spec, data.problem, data.features, trained.view.entries, quality, frame, response)
            return explain(job, subject, report)
    except (ClusterLost, *PART_FAILURES) as exc:
        job.log(f"The explanation is missing: {exc}", "warning")
        return Explanation(missing=["explanation"])
