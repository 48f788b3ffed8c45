"""Jobs that share a run of a program, with programs of numpy alone."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.errors import InvalidInput
from tasks.kinds.predict_onnx import PredictOnnx
from tasks.tensors import TensorPredictions
from tests.fakes.job_context import FakeJobContext
from tests.waiting import until
from workers.inference.model_source import ModelFolder
from workers.inference.programs import Loaded, Prediction, Tensors
from workers.inference.signature import Port, Signature
from workers.inference.tensors import Array
from workers.inference.workbench import Workbench

SIGNATURE = Signature((Port("x", "float32", ("n", 2)),), (Port("y", "float32", ("n",)),))


class NumpyProgram:
    """Computes ``function`` of the input x; ``sizes`` says how many rows each run had."""

    def __init__(
        self, function: Callable[[Array], Array], signature: Signature = SIGNATURE, *, state: bool = False
    ) -> None:
        self._function = function
        self.signature = signature
        self.keeps_state = state
        self.sizes: list[int] = []

    def run(self, inputs: Tensors, _outputs: Sequence[str]) -> dict[str, Array]:
        self.sizes.append(len(inputs["x"]))
        if (inputs["x"] == 13).any():
            raise InvalidInput("13 is bad luck")
        return {"y": self._function(inputs["x"])}


def sum_of_rows(x: Array) -> Array:
    return np.asarray(x.sum(axis=1))


def rank_of_rows(x: Array) -> Array:
    """Each row's result depends on the others."""
    return np.argsort(x.sum(axis=1)).astype(np.float32)


@pytest.fixture
def workbench(tmp_path: Path) -> Workbench:
    settings = {"device": "cpu", "threads": 1, "model_bytes": 1, "idle_seconds": 1, "batch_wait_seconds": 0}
    return Workbench({**settings, "model_cache": str(tmp_path)}, lambda _held: None)


def together(
    workbench: Workbench, loaded: Loaded, tmp_path: Path, *inputs: list[list[float]], **options: Any
) -> list[TensorPredictions | Exception]:
    """What jobs answer that come at the same time."""
    folder = ModelFolder(tmp_path, "model", "model", "dir:model", None, (), ())
    answers: list[TensorPredictions | Exception] = [InvalidInput("no answer")] * len(inputs)

    def ask(number: int) -> None:
        spec = PredictOnnx.model_validate({"model": "m", "inputs": {"x": inputs[number]}, **options})
        job = FakeJobContext(tmp_path / f"{number}")
        try:
            answers[number] = Prediction(workbench, loaded, folder, spec, job).make()
        except InvalidInput as exc:
            answers[number] = exc

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(inputs))]
    for thread in threads:
        thread.start()
    # All of them are there before the first batch is computed, so that they may share it.
    until(lambda: len(workbench.batcher._shares) == len(inputs), 10)
    while any(thread.is_alive() for thread in threads):
        workbench.batcher.step()
    for thread in threads:
        thread.join()
    return answers


def values(answers: Sequence[TensorPredictions | Exception]) -> list[Any]:
    return [answer.outputs["y"].data if isinstance(answer, TensorPredictions) else str(answer) for answer in answers]


def test_rows_of_several_jobs_share_a_run_once_that_is_proved(workbench: Workbench, tmp_path: Path) -> None:
    program = NumpyProgram(sum_of_rows)
    loaded = Loaded(program, 1)
    for _ in range(2):
        answers = together(workbench, loaded, tmp_path, [[1, 2]], [[3, 4], [5, 6]], [[7, 8]])
        assert values(answers) == [[3], [7, 11], [15]]
    # The first time it was computed both ways.
    assert sorted(program.sizes) == [1, 4, 4] or sorted(program.sizes) == [2, 4, 4]
    assert loaded.proofs == {("y",): True}


def test_a_job_of_many_rows_is_computed_in_pieces_once_its_rows_are_proved_independent(
    workbench: Workbench, tmp_path: Path
) -> None:
    program = NumpyProgram(sum_of_rows)
    loaded = Loaded(program, 1)
    rows = [[float(n), 100.0] for n in range(100, 170)]
    for _ in range(2):
        [answer] = together(workbench, loaded, tmp_path, rows)
        assert values([answer]) == [[n + 100 for n in range(100, 170)]]
    assert program.sizes[:3] == [70, 35, 35]
    assert sorted(program.sizes[3:]) == [6, 32, 32]
    assert loaded.proofs == {("y",): True}
    program.sizes.clear()
    together(workbench, loaded, tmp_path, rows, batch="never")
    assert program.sizes == [70]


@pytest.mark.parametrize("rows", [[[1, 1], [3, 3]], [[3, 3], [1, 1], [2, 2]]])
def test_rows_of_one_job_that_look_at_each_other_are_found_out(
    workbench: Workbench, tmp_path: Path, rows: list[list[float]]
) -> None:
    loaded = Loaded(NumpyProgram(rank_of_rows), 1)
    together(workbench, loaded, tmp_path, rows)
    assert loaded.proofs == {("y",): False}


def test_equal_rows_of_one_job_prove_nothing(workbench: Workbench, tmp_path: Path) -> None:
    loaded = Loaded(NumpyProgram(rank_of_rows), 1)
    together(workbench, loaded, tmp_path, [[1, 1], [1, 1]])
    assert loaded.proofs == {}


def test_what_agrees_by_chance_proves_nothing(workbench: Workbench, tmp_path: Path) -> None:
    """Labels that depend on the sum of all rows so far, and are the same for the first job's rows."""
    program = NumpyProgram(lambda x: (np.cumsum(x.sum(axis=1)) > 50).astype(np.float32))
    loaded = Loaded(program, 1)
    together(workbench, loaded, tmp_path, [[1, 2], [3, 4]])
    together(workbench, loaded, tmp_path, [[1, 2]], [[3, 4]])
    assert loaded.proofs == {}
    rows = [[float(n), 0.0] for n in range(14, 84)]
    assert values(together(workbench, loaded, tmp_path, rows)) == [[0.0] * 3 + [1.0] * 67]
    assert loaded.proofs == {("y",): False}


def test_classes_alone_prove_nothing(workbench: Workbench, tmp_path: Path) -> None:
    signature = Signature(SIGNATURE.inputs, (Port("y", "int64", ("n",)),))
    program = NumpyProgram(lambda x: x.sum(axis=1).astype(np.int64), signature)
    loaded = Loaded(program, 1)
    together(workbench, loaded, tmp_path, [[1, 2], [3, 4]])
    assert loaded.proofs == {("y",): False}


def test_a_last_piece_that_can_not_be_computed_alone_fails_no_job(workbench: Workbench, tmp_path: Path) -> None:
    def two_at_least(x: Array) -> Array:
        if len(x) == 1:
            raise InvalidInput("one row is too few")
        return sum_of_rows(x)

    loaded = Loaded(NumpyProgram(two_at_least), 1)
    together(workbench, loaded, tmp_path, [[1, 2], [3, 4], [5, 6], [7, 8]])
    assert loaded.proofs == {("y",): True}
    rows = [[float(n), 100.0] for n in range(100, 133)]
    assert values(together(workbench, loaded, tmp_path, rows)) == [[n + 100 for n in range(100, 133)]]
    assert loaded.proofs == {("y",): False}


def test_bad_rows_fail_their_job_and_prove_nothing(workbench: Workbench, tmp_path: Path) -> None:
    loaded = Loaded(NumpyProgram(sum_of_rows), 1)
    together(workbench, loaded, tmp_path, [[1, 2], [3, 4]])
    rows = [[float(n), 100.0] for n in range(60)]
    assert values(together(workbench, loaded, tmp_path, rows)) == ["13 is bad luck"]
    assert loaded.proofs == {("y",): True}


def test_pieces_that_do_not_fit_together_are_computed_whole(workbench: Workbench, tmp_path: Path) -> None:
    """A program whose outputs' shape depends on the values."""
    program = NumpyProgram(lambda x: np.repeat(x.sum(axis=1, keepdims=True), int(x.max()), axis=1))
    loaded = Loaded(program, 1)
    assert values(together(workbench, loaded, tmp_path, [[1, 2], [2, 2]])) == [[[3, 3], [4, 4]]]
    assert loaded.proofs == {("y",): True}
    rows = [[1.0, 2.0]] * 32 + [[3.0, 3.0]]
    assert values(together(workbench, loaded, tmp_path, rows)) == [[[3, 3, 3]] * 32 + [[6, 6, 6]]]
    assert loaded.proofs == {("y",): False}


def test_rows_that_look_at_each_other_are_kept_apart(workbench: Workbench, tmp_path: Path) -> None:
    program = NumpyProgram(rank_of_rows)
    loaded = Loaded(program, 1)
    alone = values(together(workbench, loaded, tmp_path, [[3, 3], [1, 1]]))
    answers = together(workbench, loaded, tmp_path, [[3, 3], [1, 1]], [[2, 2], [9, 9], [4, 4]])
    assert values(answers) == [*alone, [0, 2, 1]]
    assert loaded.proofs == {("y",): False}
    program.sizes.clear()
    assert values(together(workbench, loaded, tmp_path, [[3, 3], [1, 1]], [[2, 2]])) == [*alone, [0]]
    assert sorted(program.sizes) == [1, 2]


def test_equal_rows_prove_nothing(workbench: Workbench, tmp_path: Path) -> None:
    loaded = Loaded(NumpyProgram(rank_of_rows), 1)
    assert values(together(workbench, loaded, tmp_path, [[1, 1]], [[1, 1]])) == [[0], [0]]
    assert loaded.proofs == {}


def test_a_first_axis_that_is_no_batch_is_noticed(workbench: Workbench, tmp_path: Path) -> None:
    loaded = Loaded(NumpyProgram(lambda x: np.asarray(x.sum(axis=0))), 1)
    assert values(together(workbench, loaded, tmp_path, [[1, 2]], [[3, 4], [5, 6]])) == [[1, 2], [8, 10]]
    assert loaded.proofs == {("y",): False}


@pytest.mark.parametrize("warm", [False, True])
def test_bad_values_fail_their_own_job_alone(workbench: Workbench, tmp_path: Path, warm: bool) -> None:
    loaded = Loaded(NumpyProgram(sum_of_rows), 1)
    if warm:
        together(workbench, loaded, tmp_path, [[1, 2]], [[3, 4]])
    answers = together(workbench, loaded, tmp_path, [[1, 2]], [[13, 4]], [[7, 8]])
    assert values(answers) == [[3], "13 is bad luck", [15]]


@pytest.mark.parametrize(
    ("options", "state", "shape"),
    [({"batch": "never"}, False, ("n", 2)), ({}, True, ("n", 2)), ({}, False, (1, 2))],
    ids=["by the spec", "keeps state", "fixed axis"],
)
def test_who_shares_no_run(
    workbench: Workbench, tmp_path: Path, options: dict[str, Any], state: bool, shape: tuple[int | str, ...]
) -> None:
    program = NumpyProgram(sum_of_rows, Signature((Port("x", "float32", shape),), SIGNATURE.outputs), state=state)
    assert values(together(workbench, Loaded(program, 1), tmp_path, [[1, 2]], [[3, 4]], **options)) == [[3], [7]]
    assert program.sizes == [1, 1]
