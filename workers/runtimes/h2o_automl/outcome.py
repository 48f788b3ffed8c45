"""What a finished training is turned into: artifacts, the explanation, and the job's result."""

from tasks.automl import AutoMLSpec
from tasks.contracts import JobContext
from tasks.tabular import TrainingResult
from workers.runtimes.h2o_automl.client import H2OClient
from workers.runtimes.h2o_automl.data_preparation import frame_rows
from workers.runtimes.h2o_automl.table_check import CheckedData
from workers.runtimes.h2o_automl.training import Trained


def conclude(
    client: H2OClient, job: JobContext, spec: AutoMLSpec, data: CheckedData, trained: Trained, share: float
) -> TrainingResult:
    leader = trained.view.entries[0]
    return TrainingResult(
        problem=data.problem,
        rows=frame_rows(client, spec, trained.state.keys),
        leader=leader.model_id,
        leader_algo=leader.algo,
        sort_metric=trained.view.sort_metric,
        models=len(trained.view.entries),
        test_metrics={},
        runs=trained.state.run,
        stopped_early=trained.stopped_early,
        artifacts={},
        warnings=list(trained.warnings),
    )
