"""Computes ONNX models with ONNX Runtime."""

from collections.abc import Mapping

from pydantic import JsonValue

from workers.inference.library_floors import require_safe
from workers.inference.workbench import Workbench
from workers.runtimes.onnx_runtime.runtime import OnnxModels
from workers.runtimes.onnx_runtime.session import load_libraries


def create(_settings: Mapping[str, JsonValue], workbench: Workbench) -> OnnxModels:
    """The runtime of one runner; it takes no settings of its own."""
    require_safe("onnxruntime")
    load_libraries(workbench.device)
    return OnnxModels(workbench)
