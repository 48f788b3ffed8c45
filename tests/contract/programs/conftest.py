"""ONNX Runtime and PyTorch behind the batcher and the cache that every runner has."""

import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import JobError
from tasks.kinds import predict_onnx, predict_torch
from tasks.tensors import TensorPredictions
from tests.fakes.job_context import FakeJobContext
from workers.inference.workbench import Workbench
from workers.runtimes import onnx_runtime, pytorch


@pytest.fixture
def workbench(tmp_path: Path) -> Workbench:
    settings = {"device": "cpu", "threads": 1, "model_bytes": 1 << 30, "idle_seconds": 60, "batch_wait_seconds": 0.2}
    places = {"models": str(tmp_path / "models"), "model_cache": str(tmp_path / "cache")}
    bench = Workbench({**settings, **places}, lambda _held: None)
    bench.start()
    return bench


Predict = Callable[..., tuple[TensorPredictions, FakeJobContext]]


def predicting(kind: Any, runtime: Any, tmp_path: Path) -> Predict:
    numbers = iter(range(1000))

    def predict(files: dict[str, Path] | None = None, **spec: Any) -> tuple[TensorPredictions, FakeJobContext]:
        job = FakeJobContext(tmp_path / f"job_{next(numbers)}", files)
        result = kind.run.run(kind.run.spec.model_validate(spec), job, runtime)
        assert isinstance(result, TensorPredictions)
        return result, job

    return predict


@pytest.fixture
def onnx(workbench: Workbench, tmp_path: Path) -> Predict:
    return predicting(predict_onnx, onnx_runtime.create({}, workbench), tmp_path)


@pytest.fixture
def torch_programs(workbench: Workbench, tmp_path: Path) -> Predict:
    return predicting(predict_torch, pytorch.create({}, workbench), tmp_path)


def at_once(predict: Predict, specs: Sequence[dict[str, Any]]) -> list[tuple[TensorPredictions, FakeJobContext]]:
    """What jobs answer that come at the same time."""
    answers: list[Any] = [None] * len(specs)

    def ask(number: int) -> None:
        try:
            answers[number] = predict(**specs[number])
        except JobError as exc:
            answers[number] = exc

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(specs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


def packaged(package: str, name: str) -> Path:
    """A file of an installed package, without importing it."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / name
