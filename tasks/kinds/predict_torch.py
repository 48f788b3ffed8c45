"""Predict with a PyTorch program: TorchScript or torch.export, from places that the worker's operator trusts."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import PyTorch
from tasks.tensors import TensorPrediction, TensorPredictions


class PredictTorch(TensorPrediction):
    """A program, which can carry code, and what it is to predict."""

    kind: Literal["predict_torch"] = "predict_torch"


class TorchPredictions(TensorPredictions):
    """The predictions."""


@kind(queues=(Queue.GPU, Queue.CPU), time_limit=timedelta(hours=12), max_attempts=3, shared=True, fallback=True)
def run(spec: PredictTorch, job: JobContext, torch: PyTorch) -> TorchPredictions:
    return TorchPredictions.model_construct(**dict(torch.predict(spec, job)))
