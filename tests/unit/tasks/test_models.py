from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tasks.contracts import ArtifactInput, FileInput
from tasks.models import DirectoryModel, HubModel, ModelFileName, ModelRef, NamedModel

REF: TypeAdapter[Any] = TypeAdapter(ModelRef)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("org/name", HubModel(hub="org/name")),
        ("org/na.me-1@refs/pr/3", HubModel(hub="org/na.me-1", revision="refs/pr/3")),
        ("hub:gpt2", HubModel(hub="gpt2")),
        ("hub:gpt2@v1", HubModel(hub="gpt2", revision="v1")),
        ("mini-lm", DirectoryModel(directory="mini-lm")),
        ("dir:mini-lm", DirectoryModel(directory="mini-lm")),
        ("file:0192", FileInput(file="0192")),
        ("job:0192/model.zip", ArtifactInput(job="0192", artifact="model.zip")),
        ("model:churn", NamedModel(model="churn")),
        ("model:churn/12", NamedModel(model="churn", version=12)),
        ({"hub": "org/name", "revision": "a" * 40}, HubModel(hub="org/name", revision="a" * 40)),
        ({"directory": "mini"}, DirectoryModel(directory="mini")),
        ({"file": "1"}, FileInput(file="1")),
        ({"job": "1", "artifact": "x"}, ArtifactInput(job="1", artifact="x")),
        ({"model": "churn"}, NamedModel(model="churn")),
        ({"model": "churn", "version": 2}, NamedModel(model="churn", version=2)),
    ],
)
def test_ways_to_name_a_model(written: object, meant: object) -> None:
    assert REF.validate_python(written) == meant
    # What is kept of a spec is read again by the worker.
    assert REF.validate_python(REF.dump_python(meant, exclude_unset=True)) == meant


@pytest.mark.parametrize(
    "written",
    [
        "",
        "/etc/passwd",
        "../secret",
        "org/../name",
        "org/name/more",
        "org/na--me",
        "org/name.git",
        "org/name@",
        "org/name@../x",
        "org/name@a b",
        "org/name@x.lock",
        "model:",
        "model:a b",
        "model:../x",
        "model:churn/0",
        "model:churn/newest",
        "model:churn/1/2",
        "model:churn/²",
        "https://huggingface.co/org/name",
        "file:///etc/passwd",
        "C:\\models",
        "name\0",
        "..",
        ".hidden",
        "a" * 97,
        "org/" + "a" * 97,
        {"hub": "org/name", "revision": "main", "trust_remote_code": True},
        {"hub": "https://x/y"},
        {"directory": "a/b"},
        {"directory": ".."},
        {"job": "1"},
        {"model": "a/b"},
        {"model": "churn", "version": 0},
        {"model": "churn", "revision": "main"},
        {"path": "/x"},
        3,
        None,
        ["org/name"],
    ],
)
def test_what_names_no_model(written: object) -> None:
    with pytest.raises(ValidationError):
        REF.validate_python(written)


def test_what_to_write_instead_is_said() -> None:
    for written in ("https://x/y", {"path": "/x"}, "../x"):
        with pytest.raises(ValidationError, match='Name a model as "org/name"'):
            REF.validate_python(written)


def test_the_schema_names_the_inputs() -> None:
    """The API and the command line know by them what may name data."""
    schema = REF.json_schema()
    assert {"FileInput", "ArtifactInput", "HubModel", "DirectoryModel", "NamedModel"} == set(schema["$defs"])
    assert {"type": "string"} in schema["anyOf"]


@pytest.mark.parametrize(("name", "fine"), [("onnx/model.onnx", True), ("a.pt2", True), ("../a", False), ("/a", False)])
def test_names_of_files_inside(name: str, fine: bool) -> None:
    adapter: TypeAdapter[str] = TypeAdapter(ModelFileName)
    if fine:
        assert adapter.validate_python(name) == name
    else:
        with pytest.raises(ValidationError):
            adapter.validate_python(name)
