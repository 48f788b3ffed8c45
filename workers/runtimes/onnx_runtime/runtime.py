"""The ``tasks.runtimes.OnnxRuntime`` of one runner."""

from typing import ClassVar

from tasks.contracts import JobContext
from tasks.tensors import TensorPrediction, TensorPredictions
from workers.inference.programs import Loaded, Prediction
from workers.inference.workbench import Workbench
from workers.runtimes.onnx_runtime.session import OnnxProgram

# Initializers are in the file and in memory; the graph that is optimised takes some more.
_MEMORY_FACTOR = 1.5


class OnnxModels:
    """Reads tensors in the job's own thread, and computes in the device's."""

    runtime_name: ClassVar[str] = "onnx_runtime"

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench

    def predict(self, spec: TensorPrediction, job: JobContext) -> TensorPredictions:
        workbench = self._workbench
        folder = workbench.sources.folder(spec.model, job, "onnx", spec.file)
        size = int(folder.size_bytes * _MEMORY_FACTOR)
        with workbench.cache.using(
            (folder.identity, "onnx"),
            job,
            name=folder.name,
            needs_bytes=size,
            load=lambda: Loaded(OnnxProgram(folder.program, workbench.device, workbench.threads), size),
            held_bytes=lambda loaded: loaded.size_bytes,
        ) as loaded:
            return Prediction(workbench, loaded, folder, spec, job).make()
