"""What can't be computed is refused with a sentence that names the input and what to do."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tasks.errors import InvalidInput, JobCancelled, ModelLoadFailed
from tasks.registry import load_kinds
from tests.contract.pipelines.conftest import MakeJob
from tests.golden.cases import CALM, LONG
from tests.models.senses import RATE, picture, sound
from tests.models.shelf import Shelf
from workers.runtimes.huggingface import audio_files
from workers.runtimes.huggingface.runtime import HuggingFaceRuntime

KINDS = load_kinds()
Asking = Callable[..., Any]


@pytest.fixture
def ask(shelf: Shelf, hf: HuggingFaceRuntime, make_job: MakeJob) -> Asking:
    """Runs a job of a kind."""

    def run(kind: str, model: str, files: dict[str, Path] | None = None, **fields: Any) -> Any:
        shelf.model(model)
        spec = KINDS[kind].spec.model_validate({"model": model, **fields})
        return KINDS[kind].run(spec, make_job(files), hf)

    return run


@pytest.mark.parametrize(
    ("kind", "model", "fields", "says"),
    [
        (
            "answer_question",
            "mood",
            {"question": "who?", "context": CALM},
            "BertForSequenceClassification, which can't",
        ),
        ("classify_text", "masked", {"texts": [CALM]}, "BertForMaskedLM, which can't classify texts"),
        ("classify_text", "embedder", {"texts": [CALM]}, "BertModel, which can't classify texts"),
        ("classify_tokens", "mood", {"texts": [CALM]}, "which can't classify tokens; choose one .* such as a"),
        ("fill_mask", "continuer", {"texts": ["a [MASK]"]}, "GPT2LMHeadModel, which can't fill masks"),
        ("summarize_text", "continuer", {"texts": [CALM]}, "GPT2LMHeadModel, which can't summarize"),
        ("generate_text", "mood", {"prompts": [CALM]}, "BertForSequenceClassification, which can't generate"),
        ("classify_image", "listener", {"images": [{"file": "f"}]}, "Wav2Vec2ForSequenceClassification, which can't"),
        ("transcribe_audio", "listener", {"audio": [{"file": "f"}]}, "which can't transcribe speech"),
        ("classify_zero_shot", "mood", {"sequences": [CALM], "candidate_labels": ["a"]}, "none is entailment"),
    ],
)
def test_a_model_made_for_something_else(kind: str, model: str, fields: dict[str, Any], says: str, ask: Asking) -> None:
    with pytest.raises(InvalidInput, match=says):
        ask(kind, model, **fields)


@pytest.mark.parametrize(
    ("kind", "model", "fields", "says"),
    [
        ("classify_text", "mood", {"texts": [CALM, LONG]}, "Text 1 has .* shorten it or set truncation"),
        ("fill_mask", "masked", {"texts": [CALM]}, r"Text 0 has no gap; mark it with \[MASK\]"),
        ("fill_mask", "masked", {"texts": [f"[MASK] {LONG}"]}, "Text 0 has .* tokens, and the model takes 64"),
        ("summarize_text", "summarizer", {"texts": [LONG * 3]}, "Text 0 has .* tokens"),
        ("summarize_text", "summarizer", {"texts": [CALM], "max_new_tokens": 900}, "Up to 900 tokens .* can write 64"),
        ("summarize_text", "summarizer", {"texts": [CALM], "num_beams": 1, "num_return_sequences": 2}, "needs a beam"),
        ("translate_text", "multilingual", {"texts": [CALM]}, "give src_lang and tgt_lang"),
        (
            "translate_text",
            "multilingual",
            {"texts": [CALM], "src_lang": "en_XX", "tgt_lang": "tlh"},
            "no language 'tlh' for tgt_lang; it has",
        ),
        ("generate_text", "continuer", {"prompts": [LONG * 2]}, "Prompt 0 has .* tokens, and the model takes 128"),
        ("generate_text", "continuer", {"prompts": [CALM], "max_new_tokens": 200}, "leaves room for .* 200 are to be"),
        ("generate_text", "continuer", {"prompts": ["who"], "max_length": 1}, "leaves room"),
        ("generate_text", "prefixed", {"prompts": [[{"role": "user", "content": "x"}]]}, "knows no chats"),
        ("classify_tokens", "entities", {"texts": [CALM], "stride": 4}, "needs an aggregation_strategy"),
        (
            "classify_tokens",
            "entities",
            {"texts": [CALM], "stride": 70, "aggregation_strategy": "max"},
            "stride has to be less",
        ),
        ("answer_question", "answerer", {"question": "who?", "context": CALM, "max_seq_len": 90}, "the model takes 64"),
        ("answer_question", "answerer", {"question": CALM * 4, "context": CALM}, "Question 0 has .* leaves 0 of 64"),
        (
            "answer_question",
            "answerer",
            {"question": "when does the train leave ?", "context": LONG, "max_seq_len": 32},
            "has to be more than the doc_stride of 16",
        ),
    ],
)
def test_what_does_not_fit(kind: str, model: str, fields: dict[str, Any], says: str, ask: Asking) -> None:
    with pytest.raises(InvalidInput, match=says):
        ask(kind, model, **fields)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"rubbish", "Picture 0 can't be read"),
        (b"", "Picture 0 can't be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "give a whole file of the sort PNG"),
        ("cut", "Picture 0 can't be read"),
        ("large", "Picture 0 has too many pixels; 64 million"),
        ("bomb", "Picture 0 has too many pixels; 64 million"),
    ],
    ids=["rubbish", "empty", "svg", "cut", "large", "bomb"],
)
def test_a_picture_that_is_none(content: bytes | str, says: str, ask: Asking, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(content if isinstance(content, bytes) else _spoilt_picture(content))
    with pytest.raises(InvalidInput, match=says):
        ask("classify_image", "looker", {"p": path}, images=[{"file": "p"}])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"rubbish" * 100, "Sound 0 can't be read; give a whole file"),
        (b"", "Sound 0 can't be read"),
        (b"RIFF\x24\x00\x00\x00WAVE", "Sound 0 can't be read"),
        (np.zeros(0, np.float32), "Sound 0 is empty"),
        (np.full(4000, np.nan, np.float32), "Sound 0 has values that are no numbers"),
        (np.zeros(40, np.float32), "Sound 0 is too short for the model: 0.00"),
    ],
    ids=["rubbish", "empty file", "header alone", "empty", "nan", "short"],
)
def test_a_sound_that_is_none(content: Any, says: str, ask: Asking, tmp_path: Path) -> None:
    path = tmp_path / "sound"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        soundfile.write(path, content, RATE, format="WAV", subtype="FLOAT")
    with pytest.raises(InvalidInput, match=says):
        ask("classify_audio", "listener", {"s": path}, audio=[{"file": "s"}])


def test_a_sound_too_long(ask: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sound"
    soundfile.write(path, np.zeros(RATE * 3, np.float32), RATE, format="FLAC")
    monkeypatch.setattr(audio_files, "MOST_SECONDS", 2)
    with pytest.raises(InvalidInput, match="Sound 0 is longer than"):
        ask("transcribe_audio", "speller", {"s": path}, audio=[{"file": "s"}])


def test_silence_is_heard_as_well(ask: Asking, tmp_path: Path) -> None:
    path = tmp_path / "silence"
    soundfile.write(path, np.zeros(RATE, np.float32), RATE, format="WAV")
    assert len(ask("classify_audio", "listener", {"s": path}, audio=[{"file": "s"}]).outputs) == 1
    assert len(ask("transcribe_audio", "speller", {"s": path}, audio=[{"file": "s"}]).outputs) == 1


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_sounds_of_other_forms_and_rates(form: str, rate: int, tmp_path: Path) -> None:
    def tone(at_rate: int) -> Any:
        return 0.5 * np.sin(2 * np.pi * 440 * np.arange(at_rate) / at_rate)

    path = tmp_path / "sound"
    soundfile.write(path, np.stack([tone(rate), tone(rate)], axis=1), rate, format=form)
    heard = audio_files.read_sound(path, 0, RATE)[: RATE - 800]
    assert heard.size == RATE - 800
    assert np.abs(heard[800:] - tone(RATE)[800 : RATE - 800]).max() < 0.1


@pytest.mark.parametrize(
    ("model", "fields", "says"),
    [
        ("speller", {"language": "de"}, "Only Whisper's models can be told a language"),
        ("speller", {"max_new_tokens": 5}, "writes as much as is said"),
        ("speller", {"return_timestamps": True}, "CTC can either predict character level"),
        ("transcriber", {"return_timestamps": "char"}, "Whisper cannot return `char` timestamps"),
        ("transcriber", {"language": "tlh"}, "can't transcribe as these parameters say: Unsupported language"),
    ],
)
def test_what_a_model_can_not_hear(model: str, fields: dict[str, Any], says: str, ask: Asking, tmp_path: Path) -> None:
    path = tmp_path / "sound"
    soundfile.write(path, sound(1, 1.0), RATE, format="WAV")
    with pytest.raises(InvalidInput, match=says):
        ask("transcribe_audio", model, {"s": path}, audio=[{"file": "s"}], **fields)


def test_a_model_without_its_weights(ask: Asking, shelf: Shelf) -> None:
    from safetensors.torch import load_file, save_file

    whole = shelf.model("mood")
    broken = shelf.root / "broken"
    broken.mkdir()
    for file in whole.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    weights = load_file(whole / "model.safetensors")
    save_file({name: weights[name] for name in weights if "classifier" not in name}, broken / "model.safetensors")
    kind = KINDS["classify_text"]
    with pytest.raises(ModelLoadFailed, match="lacks weights"):
        _run_on("broken", kind, ask)


def _run_on(model: str, kind: Any, ask: Asking) -> Any:
    from tests.models import shelf as shelves

    shelves.MAKERS[model] = lambda _directory: None
    try:
        return ask(kind.name, model, texts=[CALM])
    finally:
        del shelves.MAKERS[model]


def test_a_cancelled_job_prepares_no_more(shelf: Shelf, hf: HuggingFaceRuntime, make_job: MakeJob) -> None:
    shelf.model("mood")
    job = make_job()
    job.request("cancel")
    with pytest.raises(JobCancelled):
        KINDS["classify_text"].run(KINDS["classify_text"].spec(model="mood", texts=[CALM]), job, hf)


def _spoilt_picture(how: str) -> bytes:
    if how == "cut":
        written = io.BytesIO()
        picture(1, 64, 64).save(written, "PNG")
        return written.getvalue()[:-3000]
    # A few bytes that say they are thousands of pixels wide and high.
    size = {"large": 9_000, "bomb": 60_000}[how]
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
