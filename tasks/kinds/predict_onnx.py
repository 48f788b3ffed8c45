"""Predict with an ONNX model: tensors or the rows of a table in, tensors or a table out."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import OnnxRuntime
from tasks.tensors import TensorPrediction, TensorPredictions


class PredictOnnx(TensorPrediction):
    """An ONNX model, all in one file, and what it is to predict."""

    kind: Literal["predict_onnx"] = "predict_onnx"


class OnnxPredictions(TensorPredictions):
    """The predictions."""


@kind(queues=(Queue.GPU, Queue.CPU), time_limit=timedelta(hours=12), max_attempts=3, shared=True, fallback=True)
def run(spec: PredictOnnx, job: JobContext, onnx: OnnxRuntime) -> OnnxPredictions:
    return OnnxPredictions.model_construct(**dict(onnx.predict(spec, job)))
