"""predict_torch with the real library: a model of a package, and small programs made on the spot."""

import copy
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from tasks.errors import InvalidInput, ModelLoadFailed
from tests.contract.programs.conftest import Predict, at_once, packaged
from workers.runtimes.pytorch.exported import load_exported
from workers.runtimes.pytorch.scripted import load_scripted


class Linear(torch.nn.Module):
    """Two outputs for each row."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 3)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.layer(x)
        return {"y": y, "total": y.sum(1)}


class Scaled(torch.nn.Module):
    """Takes a number and what may be left out; has no named outputs."""

    def forward(
        self, x: torch.Tensor, factor: float, more: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return x * factor if more is None else x * factor + more, x.argmax()


class Counting(torch.nn.Module):
    """Changes its own buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.add_(1)
        return x + self.seen


class Remembering(torch.nn.Module):
    """Writes to a part of its own buffer, and to what it got."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last", torch.zeros(2, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = self.last[1].clone()
        self.last[1] = x[0]
        return x.mul_(2) + before


class Rectified(torch.nn.Module):
    """Changes no more than what it made itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.ReLU(inplace=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Compared(torch.nn.Module):
    """Each row's result depends on the others."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(0)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def script(module: torch.nn.Module, path: Path) -> None:
    torch.jit.script(module).save(path)


def export(module: torch.nn.Module, path: Path) -> None:
    dynamic = {"x": {0: torch.export.Dim("batch")}}
    torch.export.save(torch.export.export(module, (torch.ones(3, 2),), dynamic_shapes=dynamic), path)


SAVERS = [("model.pt", script), ("model.pt2", export)]
Saver = Callable[[torch.nn.Module, Path], None]


def place(tmp_path: Path, module: torch.nn.Module, name: str, save: Saver) -> str:
    directory = tmp_path / "models" / "mine"
    directory.mkdir(parents=True)
    save(module, directory / name)
    return "mine"


@pytest.mark.parametrize(("name", "save"), SAVERS)
def test_lists_and_tables(torch_programs: Predict, tmp_path: Path, name: str, save: Saver) -> None:
    module = Linear()
    model = place(tmp_path, module, name, save)
    expected = module(torch.arange(8.0).reshape(4, 2))
    result, _job = torch_programs(model=model, inputs={"x": [[0, 1], [2, 3.0]]})
    assert np.allclose(result.outputs["y"].data, expected["y"][:2].tolist(), atol=1e-6)
    assert list(torch_programs(model=model, inputs={"x": [[0, 1.0]]}, outputs=["total"])[0].outputs) == ["total"]
    (tmp_path / "table.csv").write_text("a,b\n0,1\n2,3\n4,5\n6,7\n")
    if save is export:
        table, job = torch_programs({"t": tmp_path / "table.csv"}, model=model, table={"file": "t"})
        written = pq.read_table(job.artifacts["predictions.parquet"][0])
        assert table.rows == 4
        assert np.allclose(written.column("total").to_pylist(), expected["total"].tolist(), atol=1e-5)


@pytest.mark.parametrize(("name", "save"), SAVERS)
def test_jobs_share_a_batch_where_rows_are_independent(
    torch_programs: Predict, tmp_path: Path, name: str, save: Saver
) -> None:
    module = Linear()
    model = place(tmp_path, module, name, save)
    for _ in range(2):
        answers = at_once(torch_programs, [{"model": model, "inputs": {"x": [[n, 1.0]] * 2}} for n in range(1, 7)])
        for number, (result, _job) in enumerate(answers, 1):
            expected = module(torch.tensor([[float(number), 1]] * 2))["y"]
            assert np.allclose(result.outputs["y"].data, expected.tolist(), atol=1e-5)
    assert max(job.figures["batch_size"] for _result, job in answers) > 1


@pytest.mark.parametrize(("name", "save"), SAVERS)
@pytest.mark.parametrize("module", [Counting(), Remembering(), Compared()])
def test_no_job_sees_another(
    torch_programs: Predict, tmp_path: Path, name: str, save: Saver, module: torch.nn.Module
) -> None:
    expected = {n: copy.deepcopy(module)(torch.tensor([[n, 0.0], [1.0, 1.0]])).tolist() for n in range(4)}
    model = place(tmp_path, module, name, save)
    for _ in range(2):
        answers = at_once(torch_programs, [{"model": model, "inputs": {"x": [[n, 0], [1, 1.0]]}} for n in range(4)])
        assert {n: result.outputs["output"].data for n, (result, _job) in enumerate(answers)} == expected


def test_numbers_and_optional_tensors(torch_programs: Predict, tmp_path: Path) -> None:
    model = place(tmp_path, Scaled(), "model.pt", script)
    result, _job = torch_programs(model=model, inputs={"x": [1.0, 3.0], "factor": 2})
    assert {name: one.data for name, one in result.outputs.items()} == {"output_0": [2.0, 6.0], "output_1": 1}
    result, _job = torch_programs(model=model, inputs={"x": [1.0], "factor": 2, "more": [1.0]}, outputs=["output_0"])
    assert result.outputs["output_0"].data == [3.0]
    for inputs, message in (
        ({"x": [1.0]}, r"needs factor \(float64 \[\]\), which is not given"),
        ({"x": [1.0], "factor": [1, 2]}, r"'factor' has 1 dimensions"),
        ({"x": ["a"], "factor": 1}, "take no texts"),
        ({"x": [1.0, 2.0], "factor": 1, "more": [1.0, 2.0, 3.0]}, "can't compute these inputs: .*size of tensor"),
    ):
        with pytest.raises(InvalidInput, match=message):
            torch_programs(model=model, inputs=inputs)
    with pytest.raises(InvalidInput, match="has no output 'y'; it gives output_0, output_1"):
        torch_programs(model=model, inputs={"x": [1.0], "factor": 2}, outputs=["y"])


def test_an_exported_program_knows_its_shapes(torch_programs: Predict, tmp_path: Path) -> None:
    model = place(tmp_path, Linear(), "model.pt2", export)
    with pytest.raises(InvalidInput, match=r"axis 1 has to be 2: the model wants x \(float32 \[\w+, 2\]\)"):
        torch_programs(model=model, inputs={"x": [[1, 2, 3]]})


def test_a_real_model_that_keeps_state(torch_programs: Predict, tmp_path: Path) -> None:
    """Silero's speech detector remembers what it heard; another job's sound must not count."""
    shutil.copytree(packaged("silero_vad", "data"), tmp_path / "models" / "silero")
    sounds = [np.sin(np.arange(512) / n).astype(np.float32)[np.newaxis] for n in (2, 5, 2, 5)]
    spec: dict[str, Any] = {"model": "silero", "file": "silero_vad.jit"}
    answers = at_once(torch_programs, [{**spec, "inputs": {"x": one.tolist(), "sr": 16000}} for one in sounds])
    found = [result.outputs["output"].data[0][0] for result, _job in answers]
    expected = []
    for sound in sounds:
        detector = torch.jit.load(packaged("silero_vad", "data/silero_vad.jit"))
        expected.append(detector(torch.from_numpy(sound), 16000).item())
    assert np.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\x80\x04K\x01."])
def test_what_is_no_program(torch_programs: Predict, tmp_path: Path, content: bytes) -> None:
    place(tmp_path, Linear(), "model.pt", lambda _module, path: path.write_bytes(content) and None)
    with pytest.raises(ModelLoadFailed, match=r"model\.pt is no PyTorch program: save one by torch"):
        torch_programs(model="mine", inputs={"x": [1]})


def test_a_pickle_is_not_loaded(torch_programs: Predict, tmp_path: Path) -> None:
    """``torch.save`` writes a ZIP, too, whose content would run code."""

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "trapped",)

    place(tmp_path, Linear(), "model.pt", lambda _module, path: torch.save(Trap(), path))
    with pytest.raises(ModelLoadFailed, match=r"model\.pt can't be loaded by PyTorch"):
        torch_programs(model="mine", inputs={"x": [1]})
    assert not (tmp_path / "trapped").exists()


def test_an_upload_is_not_trusted(torch_programs: Predict, tmp_path: Path) -> None:
    script(Linear(), tmp_path / "up")
    with pytest.raises(ModelLoadFailed, match="a PyTorch program can carry code"):
        torch_programs({"up": tmp_path / "up"}, model="file:up", inputs={"x": [[1, 2]]})


def test_who_keeps_state_is_told_from_who_does_not(tmp_path: Path) -> None:
    for module, expected in ((Counting(), True), (Remembering(), True), (Linear(), False), (Rectified().eval(), False)):
        script(module, tmp_path / "model.pt")
        export(module, tmp_path / "model.pt2")
        assert load_scripted(tmp_path / "model.pt", "cpu").keeps_state is expected
        assert load_exported(tmp_path / "model.pt2", "cpu").keeps_state is expected
