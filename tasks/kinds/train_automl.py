"""Train many models on a table with H2O AutoML, rank them, test the best one on held-out rows and explain them.

Of H2O's own options, these are left out: project_name, because each job has a project to itself; ignored_columns,
which features says the other way round; export_checkpoints_dir, because it writes to a path on the cluster, and the
best model is kept with the job anyway; custom_metric_func and custom_distribution_func, because they run code in the
cluster, which jobs of others share; verbosity, because the whole event log is kept. The only algo_parameters that H2O
accepts are monotone_constraints.
"""

from datetime import timedelta
from typing import Literal

from tasks.automl import AutoMLSpec
from tasks.contracts import Document, JobContext
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import H2OAutoML
from tasks.tabular import TrainingResult


class TrainAutoML(AutoMLSpec):
    """A table, a target, and H2O AutoML's options."""

    kind: Literal["train_automl"] = "train_automl"


class AutoMLResult(TrainingResult):
    """The leader of the leaderboard and its quality."""


def clean_up(checkpoint: Document, h2o: H2OAutoML) -> None:
    h2o.clean_up(checkpoint)


@kind(
    queues=(Queue.H2O,),
    time_limit=timedelta(days=7),
    # A new model or log line comes far more often; one model on large data may take long.
    stall_limit=timedelta(hours=6),
    max_attempts=3,
    clean_up=clean_up,
)
def run(spec: TrainAutoML, job: JobContext, h2o: H2OAutoML) -> AutoMLResult:
    return AutoMLResult.model_validate(h2o.train(spec, job).model_dump())
