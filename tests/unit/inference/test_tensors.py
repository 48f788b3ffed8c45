from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tasks.errors import InvalidInput
from tasks.kinds.predict_onnx import PredictOnnx
from tests.fakes.job_context import FakeJobContext
from workers.inference import tensors
from workers.inference.signature import Port, Signature
from workers.inference.tensor_outputs import inline_or_kept
from workers.inference.tensors import Array, read_inputs

FLOATS = Signature((Port("x", "float32", ("batch", 2)),), (Port("y", "float32", ("batch",)),))


def given(signature: Signature, job: FakeJobContext, *, allow_nan: bool = False, **inputs: Any) -> dict[str, Array]:
    spec = PredictOnnx.model_validate({"model": "m", "inputs": inputs})
    assert spec.inputs is not None
    return read_inputs(spec.inputs, signature, job, allow_nan=allow_nan)


def port(dtype: str | None, *shape: int | str | None) -> Signature:
    return Signature((Port("x", dtype, shape or None),))


@pytest.mark.parametrize(
    ("dtype", "written", "expected"),
    [
        ("float32", [1, 2.5], np.array([1, 2.5], np.float32)),
        ("float16", [1, 2.5], np.array([1, 2.5], np.float16)),
        ("int64", [1, 2.0], np.array([1, 2])),
        ("uint8", [0, 255], np.array([0, 255], np.uint8)),
        ("bool", [True, False], np.array([True, False])),
        ("string", ["a", "bc"], np.array(["a", "bc"], dtype=object)),
        ("float32", [], np.zeros(0, np.float32)),
        ("float64", {"data": [1, 2], "dtype": "float32"}, np.array([1, 2], np.float64)),
        (None, [1.5], np.array([1.5], np.float32)),
        (None, [1], np.array([1])),
        (None, {"data": [1], "dtype": "uint8"}, np.array([1], np.uint8)),
    ],
)
def test_lists_take_the_models_type(dtype: str | None, written: Any, expected: Array, job: FakeJobContext) -> None:
    array = given(port(dtype, None), job, x=written)["x"]
    assert array.dtype == expected.dtype
    assert array.tolist() == expected.tolist()


def test_a_single_number_is_a_tensor(job: FakeJobContext) -> None:
    assert given(port("int64"), job, x=3)["x"].shape == ()


@pytest.mark.parametrize(
    ("dtype", "written", "message"),
    [
        ("int64", [1.5], r"'x' has float64 values, where the model wants x \(int64\)"),
        ("int8", [200], "values from 200 to 200, which"),
        ("uint8", [-1], "values from -1 to -1"),
        ("float16", [1e6], "too large for"),
        ("float32", ["a"], "has texts, where float32 is wanted"),
        ("string", [1.0], "float64 values, where the model wants"),
        ("bool", [1], "int64 values, where the model wants"),
        ("int64", [True], "bool values, where"),
        ("int64", [2**70], "numbers that no type can hold"),
        ("float32", [1, "a"], "texts among numbers"),
    ],
)
def test_values_that_would_change_their_meaning(dtype: str, written: Any, message: str, job: FakeJobContext) -> None:
    with pytest.raises(InvalidInput, match=message):
        given(port(dtype, None), job, x=written)


@pytest.mark.parametrize(
    "written",
    [[[1], [2, 3]], [1, [2]], [None], [{"a": 1}], {"data": [1], "dtype": "complex64"}, {"data": [[1], [1, 2]]}],
)
def test_what_is_no_tensor_is_refused_at_submission(written: Any) -> None:
    with pytest.raises(ValidationError):
        PredictOnnx.model_validate({"model": "m", "inputs": {"x": written}})


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"inputs": {"x": [1]}, "table": {"file": "1"}},
        {"inputs": {"x": [1]}, "columns": {"x": ["a"]}},
        {"inputs": {}},
        {"inputs": {"x": [1]}, "outputs": ["y", "y"]},
        {"inputs": {"x": [1]}, "file": "../model.onnx"},
        {"inputs": {"x": {"data": [1], "more": 1}}},
    ],
)
def test_specs_that_contradict_themselves(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PredictOnnx.model_validate({"model": "m", **spec})


def test_names_and_shapes_are_the_models(job: FakeJobContext) -> None:
    two = Signature((Port("x", "float32", ("n", 2)), Port("z", "float32", ("n",)), Port("more", "int64", (), True)))
    assert set(given(two, job, x=[[1, 2]], z=[1])) == {"x", "z"}
    for inputs, message in (
        ({"x": [[1, 2]], "y": [1]}, r"has no input 'y'; it takes x \(float32 \[n, 2\]\), z"),
        ({"x": [[1, 2]]}, r"needs z \(float32 \[n\]\), which is not given"),
        ({"x": [1, 2], "z": [1]}, r"'x' has 1 dimensions \(\[2\]\), where the model wants x \(float32 \[n, 2\]\)"),
        ({"x": [[1, 2, 3]], "z": [1]}, r"'x' has the shape \[1, 3\], but axis 1 has to be 2"),
        ({"x": [[1, 2]], "z": [1, 2]}, "'z' has 2 along 'n', but input 'x' has 1; they have to be equal"),
    ):
        with pytest.raises(InvalidInput, match=message):
            given(two, job, **inputs)


def test_outputs_are_the_models() -> None:
    assert FLOATS.wanted(None) == ("y",)
    with pytest.raises(InvalidInput, match=r"has no output 'q'; it gives y \(float32 \[batch\]\)"):
        FLOATS.wanted(["q"])
    assert Signature(()).wanted(["any"]) == ("any",)


def npy(path: Path, array: Any) -> Path:
    np.save(path, array, allow_pickle=True)
    return path


def with_file(tmp_path: Path, path: Path) -> FakeJobContext:
    return FakeJobContext(tmp_path / "job", {"tensor": path})


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(3, 2),
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(3, 2)),
        np.arange(6, dtype=">i4").reshape(3, 2),
    ],
)
def test_npy_files(tmp_path: Path, array: Array) -> None:
    read = given(FLOATS, with_file(tmp_path, npy(tmp_path / "x.npy", array)), x={"file": "tensor"})["x"]
    assert read.dtype == np.float32
    assert read.tolist() == array.tolist()


def test_texts_in_npy_files(tmp_path: Path) -> None:
    job = with_file(tmp_path, npy(tmp_path / "x.npy", np.array(["a", "bc"])))
    assert given(port("string", None), job, x={"file": "tensor"})["x"].tolist() == ["a", "bc"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.array([{"a": 1}, None]), "holds Python objects, which are never read"),
        (np.array([1 + 2j]), "has the type complex128, which no model takes"),
        (np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]), "which no model takes"),
        (np.array(["2026-01-01"], dtype="M8[D]"), "which no model takes"),
        (b"rubbish", "is no readable NPY file"),
        (b"", "is no readable NPY file"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': __imp}", "is no readable NPY file"),
        (b"\x93NUMPY\x09\x00", "version that is not known|no readable NPY file"),
    ],
)
def test_npy_files_that_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "x.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        npy(path, content)
    with pytest.raises(InvalidInput, match=message):
        given(port(None), with_file(tmp_path, path), x={"file": "tensor"})


def test_npy_files_that_are_shorter_or_larger_than_they_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = npy(tmp_path / "x.npy", np.zeros((100, 2), np.float32))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InvalidInput, match="ends too early"):
        given(FLOATS, with_file(tmp_path, path), x={"file": "tensor"})
    monkeypatch.setattr(tensors, "MOST_BYTES", 799)
    with pytest.raises(InvalidInput, match="'x' takes 0 MB; at most"):
        given(FLOATS, with_file(tmp_path, path), x={"file": "tensor"})


def test_what_is_not_finite_has_to_be_allowed(tmp_path: Path) -> None:
    path = npy(tmp_path / "x.npy", np.array([[1, 2], [3, np.nan]]))
    with pytest.raises(InvalidInput, match=r"'x' has nan at \[1, 1\]; clean the data, or set allow_nan"):
        given(FLOATS, with_file(tmp_path, path), x={"file": "tensor"})
    read = given(FLOATS, with_file(tmp_path, path), x={"file": "tensor"}, allow_nan=True)
    assert np.isnan(read["x"][1, 1])


def test_short_outputs_are_written_out_and_long_ones_kept(job: FakeJobContext) -> None:
    outputs = {
        "large/one": np.zeros((1000, 300), np.float32),
        "short": np.array([1, 2]),
        "text": np.array(["a"], object),
    }
    found, artifacts = inline_or_kept(outputs, job)
    assert list(found) == list(outputs)
    assert (found["short"].dtype, found["short"].shape, found["short"].data) == ("int64", [2], [1, 2])
    assert found["text"].data == ["a"]
    assert found["large/one"].data is None
    assert artifacts == {"outputs": ["0_large_one.npy"]}
    assert np.load(job.artifacts["0_large_one.npy"][0], allow_pickle=False).shape == (1000, 300)
