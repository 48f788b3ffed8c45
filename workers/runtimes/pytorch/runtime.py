"""The ``tasks.runtimes.PyTorch`` of one runner."""

from typing import ClassVar

import torch

from tasks.contracts import JobContext
from tasks.tensors import TensorPrediction, TensorPredictions
from workers.inference.programs import Loaded, Prediction
from workers.inference.workbench import Workbench
from workers.runtimes.pytorch.exported import is_exported, load_exported
from workers.runtimes.pytorch.scripted import load_scripted


class TorchPrograms:
    """Reads tensors in the job's own thread, and computes in the device's."""

    runtime_name: ClassVar[str] = "pytorch"

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        torch.set_num_threads(workbench.threads)

    def predict(self, spec: TensorPrediction, job: JobContext) -> TensorPredictions:
        workbench = self._workbench
        folder = workbench.sources.folder(spec.model, job, "torch", spec.file)

        def load() -> Loaded:
            program = (load_exported if is_exported(folder.program) else load_scripted)(
                folder.program, workbench.device
            )
            return Loaded(program, folder.size_bytes)

        with workbench.cache.using(
            (folder.identity, "torch"),
            job,
            name=folder.name,
            needs_bytes=folder.size_bytes,
            load=load,
            held_bytes=lambda loaded: loaded.size_bytes,
        ) as loaded:
            return Prediction(workbench, loaded, folder, spec, job).make()
