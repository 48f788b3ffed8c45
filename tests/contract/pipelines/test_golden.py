"""Every kind says what the pipelines of transformers 4.57 said about the same models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tasks.kind import Kind
from tasks.registry import load_kinds
from tests.contract.pipelines.conftest import MakeJob
from tests.golden.answers import assert_same, golden
from tests.models.senses import RATE, picture, sound
from tests.models.shelf import Shelf
from tests.models.weights import digest
from workers.runtimes.huggingface.runtime import HuggingFaceRuntime

KINDS = load_kinds()
_FIELD = {"classify_zero_shot": "sequences", "generate_text": "prompts"}
GOLDEN = {
    kind: golden(kind)
    for kind in (
        "answer_question", "classify_audio", "classify_image", "classify_text", "classify_tokens", "classify_zero_shot",
        "fill_mask", "generate_text", "summarize_text", "transcribe_audio", "translate_text",
    )
}  # fmt: skip


def _cases() -> Iterator[Any]:
    for kind, document in GOLDEN.items():
        for number, case in enumerate(document["cases"]):
            yield pytest.param(KINDS[kind], case, id=f"{kind}-{number}")


@pytest.mark.parametrize(("kind", "case"), list(_cases()))
def test_as_the_pipelines_of_4_57(
    kind: Kind, case: dict[str, Any], shelf: Shelf, hf: HuggingFaceRuntime, make_job: MakeJob, tmp_path: Path
) -> None:
    assert digest(shelf.model(case["model"])) == GOLDEN[kind.name]["models"][case["model"]]
    fields, files = _inputs(kind.name, case, tmp_path)
    spec = kind.spec.model_validate({"model": case["model"], **fields, **_parameters(kind.name, case)})
    result = kind.run(spec, make_job(files), hf).model_dump(mode="json")
    assert_same(result["outputs"], _expected(kind.name, case))


@pytest.mark.parametrize("case", golden("embed_text")["cases"], ids=["short", "cut off"])
def test_vectors_are_the_mean_of_the_features(
    case: dict[str, Any], shelf: Shelf, hf: HuggingFaceRuntime, make_job: MakeJob
) -> None:
    shelf.model(case["model"])
    kind = KINDS["embed_text"]
    spec = kind.spec.model_validate({"model": case["model"], "texts": case["inputs"], "pooling": "mean"})
    result = kind.run(spec, make_job(), hf).model_dump(mode="json")
    assert_same(result["vectors"], [np.mean(features[0], axis=0).tolist() for features in case["output"]])


def _inputs(kind: str, case: dict[str, Any], directory: Path) -> tuple[dict[str, Any], dict[str, Path]]:
    """The fields of a spec that are data, and the files that they name."""
    match kind:
        case "answer_question":
            return case["inputs"], {}
        case "classify_audio" | "transcribe_audio":
            files = {f"sound {n}": directory / f"{n}.wav" for n in range(len(case["inputs"]))}
            for path, made_from in zip(files.values(), case["inputs"], strict=True):
                soundfile.write(path, sound(*made_from), RATE, subtype="PCM_16")
            return {"audio": [{"file": name} for name in files]}, files
        case "classify_image":
            files = {f"picture {n}": directory / f"{n}.png" for n in range(len(case["inputs"]))}
            for path, made_from in zip(files.values(), case["inputs"], strict=True):
                picture(*made_from).save(path)
            return {"images": [{"file": name} for name in files]}, files
    return {_FIELD.get(kind, "texts"): case["inputs"]}, {}


def _parameters(kind: str, case: dict[str, Any]) -> dict[str, Any]:
    """The pipelines' parameters as the spec has them."""
    call = {name: value for name, value in case["call"].items() if not (name == "max_new_tokens" and value is None)}
    call |= call.pop("generate_kwargs", {}) | call.pop("tokenizer_kwargs", {})
    if "seed" in case:
        call["seed"] = case["seed"]
    if case["task"].startswith("translation_"):  # the name of the pipeline says from which language to which
        _, call["src_lang"], _, call["tgt_lang"] = case["task"].split("_")
    return call


def _expected(kind: str, case: dict[str, Any]) -> Any:
    """The pipelines answer one question, or a list of one text with a gap, without a list."""
    if kind == "answer_question" and isinstance(case["inputs"]["question"], str):
        return [case["output"]]
    if kind == "fill_mask" and len(case["inputs"]) == 1:
        return [case["output"]]
    return case["output"]
