"""Runs PyTorch programs: TorchScript and torch.export."""

from collections.abc import Mapping

from pydantic import JsonValue

from workers.inference.library_floors import require_safe
from workers.inference.workbench import Workbench
from workers.runtimes.pytorch.runtime import TorchPrograms


def create(_settings: Mapping[str, JsonValue], workbench: Workbench) -> TorchPrograms:
    """The runtime of one runner; it takes no settings of its own."""
    require_safe("torch")
    return TorchPrograms(workbench)
