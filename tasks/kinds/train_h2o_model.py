"""Train one algorithm of H2O on a table, or a grid of it, rank the models, test the best one and explain it.

With hyper_params a grid is trained, which search_criteria limits. Parameters that name a path, code, a frame or
another model in the cluster are left out (checkpoint, export_checkpoints_dir, custom_metric_func, calibration_frame,
user_points, …), as are those that concern the machine that jobs share (nthread, gpu_id, backend), and offset_column,
because a model with an offset can't be scored without one.
"""

from datetime import timedelta
from typing import Literal

from tasks.contracts import Document, JobContext
from tasks.h2o.model_spec import H2OModelSpec
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import H2OAutoML
from tasks.tabular import TrainingResult


class TrainH2OModel(H2OModelSpec):
    """A table, an algorithm, and its parameters."""

    kind: Literal["train_h2o_model"] = "train_h2o_model"


class H2OModelResult(TrainingResult):
    """The best model and its quality."""


def clean_up(checkpoint: Document, h2o: H2OAutoML) -> None:
    h2o.clean_up(checkpoint)


@kind(
    queues=(Queue.H2O,),
    time_limit=timedelta(days=7),
    # One model on large data may take long, and nothing is heard of it until it is ready.
    stall_limit=timedelta(hours=6),
    max_attempts=3,
    clean_up=clean_up,
)
def run(spec: TrainH2OModel, job: JobContext, h2o: H2OAutoML) -> H2OModelResult:
    return H2OModelResult.model_validate(h2o.train(spec, job).model_dump())
