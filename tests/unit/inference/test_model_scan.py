import json
import os
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import ModelLoadFailed
from tests.unit.inference.model_files import make_model, safetensors
from workers.inference.model_files import KnownFiles, digest_of, marks_of
from workers.inference.model_scan import choose_program, scan


def scanned(directory: Path) -> KnownFiles:
    return scan(directory, marks_of(directory), "huggingface", None)


def test_what_is_loaded_and_what_is_left_alone(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m", README__md="hi", modeling_x__py="import os", pytorch_model__bin=b"\x80pickle")
    (model / "1_Pooling").mkdir()
    (model / "1_Pooling" / "config.json").write_text("{}")
    (model / ".cache").mkdir()
    known = scanned(model)
    names = [file.name for file in known.files]
    assert names == ["1_Pooling/config.json", "config.json", "model.safetensors", "tokenizer.json"]
    assert known.ignored == ("README.md", "modeling_x.py", "pytorch_model.bin")


def test_equal_content_has_an_equal_digest(tmp_path: Path) -> None:
    one, other = make_model(tmp_path / "one"), make_model(tmp_path / "other", README__md="differs")
    changed = make_model(tmp_path / "changed", config__json={"model_type": "gpt2"})
    digests = [digest_of(scanned(directory).files) for directory in (one, other, changed)]
    assert digests[0] == digests[1] != digests[2]


def test_what_is_known_is_kept_and_read_again(tmp_path: Path) -> None:
    known = scanned(make_model(tmp_path / "m"))
    known.save(tmp_path / "m.json")
    assert KnownFiles.load(tmp_path / "m.json") == known
    (tmp_path / "m.json").write_text('{"marks": 3}')
    assert KnownFiles.load(tmp_path / "m.json") is None


DEEP = '{"a":' * 100_000


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"config__json": ""}, "config.json is missing"),
        ({"model__safetensors": ""}, "no weights: a file such as model.safetensors is missing"),
        (
            {"model__safetensors": "", "pytorch_model__bin": b"\x80"},
            r"pytorch_model.bin is refused: only safetensors .*save_pretrained",
        ),
        ({"model__safetensors": "", "model__ckpt": b"\x80"}, "model.ckpt is refused: only safetensors"),
        ({"config__json": {"auto_map": {"AutoModel": "x.Y"}}}, "config.json is refused: 'auto_map' names code"),
        ({"config__json": {"text": [{"trust_remote_code": True}]}}, "'trust_remote_code' asks for remote code"),
        ({"config__json": {"_attn_implementation_internal": "a/b"}}, "'_attn_implementation_internal'"),
        ({"config__json": '{"auto_map": {"A": "x.Y"}, "auto_map": null}'}, "'auto_map' names code"),
        ({"config__json": {"attn_implementation": {"text": "kernels/x"}}}, "'attn_implementation' names a kernel"),
        ({"generation_config__json": {"custom_generate": "a/b"}}, "generation_config.json is refused"),
        ({"model_index__json": {"custom_pipelines": {"x": 1}}}, "model_index.json is refused: 'custom_pipelines'"),
        ({"tokenizer_config__json": {"auto_map": {"AutoTokenizer": ["x.Y", None]}}}, "tokenizer_config.json is"),
        (
            {"config__json": {"transformers_weights": "adapter_model.bin"}},
            "names 'adapter_model.bin'; only safetensors",
        ),
        ({"tokenizer_config__json": {"vocab": "/etc/passwd"}}, "json is refused: 'vocab' names a file outside"),
        ({"tokenizer_config__json": {"init_inputs": ["/etc/passwd"]}}, "'init_inputs' may name files outside"),
        ({"tokenizer_config__json": {"fast_tokenizer_files": ["/x/tokenizer.4.0.0.json"]}}, "'fast_tokenizer_files'"),
        ({"tokenizer_config__json": {"fast_tokenizer_files": "tokenizer.json"}}, "'fast_tokenizer_files' names files"),
        ({"tokenizer_config__json": {"merges_file": __file__}}, "'merges_file' names a file outside of the model"),
        ({"special_tokens_map__json": {"vocab_file": __file__}}, "special_tokens_map.json is refused: 'vocab_file'"),
        ({"tokenizer_config__json": "[]"}, "tokenizer_config.json is refused: it is no JSON object"),
        ({"adapter_config__json": {"base_model_name_or_path": "a/b"}}, "merge it into that model"),
        ({"modules__json": '[{"type": "my_code.Pooling"}]'}, "modules.json is refused: it names 'my_code.Pooling'"),
        ({"config__json": "{"}, r"config.json is refused: it is no JSON \(.* in line 1\)"),
        ({"config__json": b"\xff\xfe{}"}, "config.json is refused: it is no "),
        ({"config__json": DEEP}, "config.json is refused: it is nested too deeply"),
        ({"tokenizer__json": {"version": "1.0"}}, "tokenizer.json is refused: it is no tokenizer"),
        ({"tokenizer__json": {"model": {"vocab": 3}}}, "its vocabulary is neither"),
        ({"tokenizer__json": {"model": {"vocab": {"a": -1}}}}, "its vocabulary gives 'a' no number"),
        ({"tokenizer__json": {"model": {}, "added_tokens": [{"id": "x"}]}}, "its added tokens"),
        ({"chat_template__jinja": "x" * (1 << 20) + "x"}, "chat_template.jinja is refused: it is larger than 1 MB"),
        ({"model__safetensors__index__json": {"weight_map": {"a": "../w.safetensors"}}}, "which is no safetensors"),
        ({"model__safetensors__index__json": {"weight_map": {"a": "pytorch_model.bin"}}}, "which is no safetensors"),
        ({"model__safetensors__index__json": {"weight_map": {"a": "x.safetensors"}}}, "'x.safetensors', which is miss"),
        ({"model__safetensors__index__json": {"metadata": {}}}, "it has no 'weight_map'"),
    ],
)
def test_what_is_refused(tmp_path: Path, files: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelLoadFailed, match=message):
        scanned(make_model(tmp_path / "m", **files))


def test_what_asks_for_nothing_is_harmless(tmp_path: Path) -> None:
    config = {"auto_map": {}, "trust_remote_code": False, "attn_implementation": "sdpa", "custom_pipelines": None}
    assert scanned(make_model(tmp_path / "m", config__json=config | {"transformers_weights": "model.safetensors"}))


def test_places_that_lead_nowhere_are_no_harm(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"tokenizer_file": "/nobody/here/tokenizer.json", "vocab_file": None, "init_inputs": []}
    settings["fast_tokenizer_files"] = ["tokenizer.4.0.0.json"]
    assert scanned(make_model(tmp_path / "m", tokenizer_config__json=settings))


def tensor(begin: object, end: object, shape: object = (2,), dtype: object = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"abc", "too short"),
        (b"\xff" * 8 + b"{}", "its header claims"),
        (safetensors(b"[]"), "no JSON object"),
        (safetensors(b"{nonsense"), "no JSON"),
        (safetensors(b'{"w": 1, "w": 2}'), "names a tensor twice"),
        (safetensors({"w": tensor(0, 16)}), "'w' lies outside of the file"),
        (safetensors({"w": tensor(-8, 0)}), "lies outside"),
        (safetensors({"w": tensor(0, 8, [3])}), "takes 8 bytes, which its shape and type don't make"),
        (safetensors({"w": tensor(0, 8, [2], "F33")}), "unknown type 'F33'"),
        (safetensors({"w": tensor(0, 8, [-2])}), "a shape that is none"),
        (safetensors({"w": tensor(0, 8, [True, 2])}), "a shape that is none"),
        (safetensors({"w": {"dtype": "F32", "shape": [2]}}), "lacks a type, a shape or its place"),
        (safetensors({"a": tensor(0, 8), "b": tensor(4, 8, [1])}), "'a' and 'b' overlap"),
        (safetensors({"a": tensor(0, 4, [1])}), "4 bytes after tensor 'a' belong to none"),
    ],
)
def test_broken_safetensors(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ModelLoadFailed, match=f"model.safetensors is refused: .*{message}"):
        scanned(make_model(tmp_path / "m", model__safetensors=content))


def test_links_may_not_lead_out(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m", vocab__txt="")
    (model / "kept.txt").write_text("a")
    (model / "vocab.txt").symlink_to(model / "kept.txt")
    assert "vocab.txt" in {file.name for file in scanned(model).files}
    (tmp_path / "secret.txt").touch()
    (model / "merges.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(ModelLoadFailed, match=r"merges\.txt is a link that leads out of the model's directory"):
        scanned(model)
    (model / "merges.txt").unlink()
    (model / "more").symlink_to(tmp_path)
    with pytest.raises(ModelLoadFailed, match="more is a link to a directory"):
        scanned(model)


def test_only_regular_files(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    os.mkfifo(model / "config.txt")
    with pytest.raises(ModelLoadFailed, match=r"config\.txt is no regular file"):
        scanned(model)


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    model = make_model(tmp_path / "m")
    before = marks_of(model)
    (model / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    assert marks_of(model) != before


def test_one_program_is_chosen() -> None:
    names = ["onnx/model.onnx", "onnx/model_int8.onnx", "config.json"]
    assert choose_program(names, "onnx", "onnx/model_int8.onnx") == "onnx/model_int8.onnx"
    assert choose_program(["a.pt2", "b.onnx"], "torch", None) == "a.pt2"
    with pytest.raises(ModelLoadFailed, match=r"has onnx/model\.onnx, onnx/model_int8\.onnx; name one of them as file"):
        choose_program(names, "onnx", None)
    with pytest.raises(ModelLoadFailed, match=r"no model\.onnx; it has onnx/model\.onnx"):
        choose_program(names, "onnx", "model.onnx")
    with pytest.raises(ModelLoadFailed, match=r"no file that ends in \.pt2"):
        choose_program(names, "torch", None)
