"""Vectors of a real encoder are the library's own, whatever batches they come from."""

import dataclasses
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from tasks.embedding import TextEmbedding
from tasks.errors import InvalidInput, ModelLoadFailed
from tasks.kinds.embed_text import EmbedText, run
from tasks.models import NamedModel
from tests.contract.huggingface.conftest import MINILM
from tests.fakes.job_context import FakeJobContext
from tests.unit.inference.model_files import make_model
from workers.runtimes.huggingface.runtime import HuggingFaceRuntime

TEXTS = ["A man plays the guitar.", "Someone makes music on an instrument.", "Stocks fell sharply on Monday.", ""]
CLOSE = 1e-5


def raw_vectors(texts: list[str], *, pooling: str = "mean") -> np.ndarray:
    """One text after the other, without padding."""
    tokenizer, network = AutoTokenizer.from_pretrained(MINILM), AutoModel.from_pretrained(MINILM).eval()
    vectors = []
    for text in texts:
        with torch.inference_mode():
            encoded = tokenizer(text, return_tensors="pt", truncation=True, max_length=256)
            hidden = network(**encoded).last_hidden_state[0]
        vectors.append(hidden[0] if pooling == "cls" else hidden.mean(dim=0))
    return torch.stack(vectors).numpy()


def test_it_is_the_raw_model_s_mean(hf: HuggingFaceRuntime, job: FakeJobContext) -> None:
    spec = EmbedText(model="model", texts=TEXTS, normalize=False)
    result = run.run(spec, job, hf)
    assert (len(result.vectors), result.dimensions) == (len(TEXTS), 384)
    assert np.abs(np.array(result.vectors) - raw_vectors(TEXTS)).max() < CLOSE


def test_by_default_as_the_model_says(hf: HuggingFaceRuntime, job: FakeJobContext) -> None:
    vectors = np.array(run.run(EmbedText(model="model", texts=TEXTS), job, hf).vectors)
    raw = raw_vectors(TEXTS)
    assert np.abs(vectors - raw / np.linalg.norm(raw, axis=1, keepdims=True)).max() < CLOSE
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_the_first_token_s_vector(hf: HuggingFaceRuntime, job: FakeJobContext) -> None:
    spec = EmbedText(model="model", texts=TEXTS, pooling="cls", normalize=False)
    assert np.abs(np.array(run.run(spec, job, hf).vectors) - raw_vectors(TEXTS, pooling="cls")).max() < CLOSE


def test_what_is_too_long_is_cut_off_and_said_or_refused(hf: HuggingFaceRuntime, job: FakeJobContext) -> None:
    texts = ["short", "word " * 1000]
    result = run.run(EmbedText(model="model", texts=texts, normalize=False), job, hf)
    assert result.truncated == [1]
    assert np.abs(np.array(result.vectors) - raw_vectors(texts)).max() < CLOSE
    with pytest.raises(InvalidInput, match="Text 1 has 1002 tokens, and the model takes 256"):
        run.run(EmbedText(model="model", texts=texts, truncation=False), job, hf)


def test_jobs_at_once_get_what_each_would_get_alone(hf: HuggingFaceRuntime, tmp_path: Path) -> None:
    texts = [" ".join(["word"] * (1 + n % 40)) + f" {n}" for n in range(96)]
    together = threading.Barrier(16)

    def embed(number: int) -> list[list[float]]:
        together.wait(30)
        spec = EmbedText(model="model", texts=texts[number * 6 : number * 6 + 6], truncation=number % 2 == 0)
        return hf.embed(spec, FakeJobContext(tmp_path)).vectors

    with ThreadPoolExecutor(max_workers=16) as threads:
        parts = list(threads.map(embed, range(16)))
    alone = hf.embed(TextEmbedding(kind="embed_text", model="model", texts=texts), FakeJobContext(tmp_path)).vectors
    assert np.abs(np.array([vector for part in parts for vector in part]) - np.array(alone)).max() < CLOSE


def test_the_second_use_loads_nothing(hf: HuggingFaceRuntime, tmp_path: Path) -> None:
    first, second = FakeJobContext(tmp_path), FakeJobContext(tmp_path)
    for job in (first, second):
        run.run(EmbedText(model="model", texts=["a"]), job, hf)
    assert (second.figures["model_loads"], second.figures["model_hits"]) == (0, 1)


def test_a_folder_that_is_no_model_fails_to_load(
    hf: HuggingFaceRuntime, job: FakeJobContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model(tmp_path / "broken", config__json={"model_type": "no_such_network"})
    sources = hf._workbench.sources
    monkeypatch.setattr(sources, "settings", dataclasses.replace(sources.settings, models=tmp_path))
    with pytest.raises(ModelLoadFailed, match="The model dir:broken can't be loaded"):
        run.run(EmbedText(model="broken", texts=["a"]), job, hf)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (
            {"vocab__txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na"},
            r"dir:part lacks weights \(.*\); choose one that is whole",
        ),
        ({}, "dir:part has no vocabulary: a file such as tokenizer.json is missing"),
    ],
    ids=["weights", "vocabulary"],
)
def test_what_the_library_would_make_up_is_missed(
    files: dict[str, Any],
    says: str,
    hf: HuggingFaceRuntime,
    job: FakeJobContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    make_model(
        tmp_path / "part", config__json={"model_type": "bert", "vocab_size": 8, **small}, tokenizer__json="", **files
    )
    sources = hf._workbench.sources
    monkeypatch.setattr(sources, "settings", dataclasses.replace(sources.settings, models=tmp_path))
    with pytest.raises(ModelLoadFailed, match=says):
        run.run(EmbedText(model="part", texts=["a"]), job, hf)


def test_an_upload_that_fails_to_load_is_called_by_its_name(hf: HuggingFaceRuntime, tmp_path: Path) -> None:
    make_model(tmp_path / "packed", config__json={"model_type": "no_such_network"})
    archive = Path(shutil.make_archive(str(tmp_path / "upload"), "zip", tmp_path / "packed"))
    job = FakeJobContext(tmp_path / "job", {"mini": archive})
    with pytest.raises(ModelLoadFailed) as failure:
        run.run(EmbedText(model=NamedModel(model="mini", version=3), texts=["a"]), job, hf)
    said = str(failure.value)
    assert said.startswith("The model model:mini/3 can't be loaded: ")
    assert "upload--" not in said
    assert str(tmp_path) not in said
