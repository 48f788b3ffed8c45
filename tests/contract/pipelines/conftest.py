"""The real library with tiny models, and jobs to run on it."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fakes.job_context import FakeJobContext

if TYPE_CHECKING:
    from tests.models.shelf import Shelf
    from workers.inference.workbench import Workbench
    from workers.runtimes.huggingface.runtime import HuggingFaceRuntime

MakeJob = Callable[..., FakeJobContext]

# Nothing here may ask for anything over the network.
os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without the library the suite is skipped at home, and fails where everything has to be installed."""
    if importlib.util.find_spec("transformers") is None and not os.environ.get("CI"):
        for item in items:
            if "contract/pipelines" in item.nodeid:
                item.add_marker(pytest.mark.skip(reason="transformers is not installed"))


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> "Shelf":
    from tests.models.shelf import Shelf

    return Shelf(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def workbench(shelf: "Shelf") -> "Workbench":
    from workers.inference.workbench import Workbench

    settings = {
        "device": "cpu",
        "threads": 1,
        "models": str(shelf.root),
        "idle_seconds": 600,
        "model_bytes": 1 << 30,
        "batch_wait_seconds": 0,
    }
    made = Workbench(settings, lambda _held: None)
    made.start()
    return made


@pytest.fixture(scope="session")
def hf(workbench: "Workbench") -> "HuggingFaceRuntime":
    from workers.runtimes.huggingface import create

    return create({}, workbench)


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """Makes jobs whose inputs are the files of those names."""

    def make(inputs: dict[str, Path] | None = None) -> FakeJobContext:
        return FakeJobContext(tmp_path, inputs)

    return make
