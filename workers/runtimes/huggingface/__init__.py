"""Computes with Hugging Face's transformers on torch."""

from collections.abc import Mapping

from pydantic import JsonValue

from workers.inference.library_floors import require_safe
from workers.inference.workbench import Workbench
from workers.runtimes.huggingface.runtime import HuggingFaceRuntime


def create(_settings: Mapping[str, JsonValue], workbench: Workbench) -> HuggingFaceRuntime:
    """The runtime of one runner; it takes no settings of its own."""
    require_safe("transformers", "torch", "safetensors")
    return HuggingFaceRuntime(workbench)
