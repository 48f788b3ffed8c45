"""Jobs that share batches get what they would get alone."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

from tasks.errors import InvalidInput, JobCancelled
from tasks.kind import Kind
from tasks.kinds.classify_audio import ClassifyAudio
from tasks.kinds.classify_audio import run as classify_audio
from tasks.kinds.classify_text import ClassifyText
from tasks.kinds.classify_text import run as classify_text
from tasks.kinds.classify_tokens import ClassifyTokens
from tasks.kinds.classify_tokens import run as classify_tokens
from tasks.kinds.generate_text import GenerateText
from tasks.kinds.generate_text import run as generate_text
from tasks.kinds.summarize_text import SummarizeText
from tasks.kinds.summarize_text import run as summarize_text
from tasks.kinds.transcribe_audio import TranscribeAudio
from tasks.kinds.transcribe_audio import run as transcribe_audio
from tests.contract.pipelines.conftest import MakeJob
from tests.golden.cases import CALM, FOUR, PEOPLE, SUMMER, TRAVEL
from tests.models.senses import RATE, sound
from tests.models.shelf import Shelf
from workers.inference.workbench import Workbench
from workers.runtimes.huggingface.runtime import HuggingFaceRuntime
from workers.runtimes.huggingface.streaming import Teller, TellingStreamer


@pytest.fixture
def sounds(tmp_path: Path) -> dict[str, Path]:
    """Sounds whose lengths differ by so little that they share batches, by their names."""
    files = {f"sound {n}": tmp_path / f"{n}.wav" for n in range(4)}
    for number, path in enumerate(files.values()):
        soundfile.write(path, sound(number, 0.9 + 0.15 * number), RATE)
    return files


def _held_up(workbench: Workbench, make_job: MakeJob, works: Sequence[Callable[[], Any]]) -> list[Any]:
    """What the jobs answer that ask for the device while it is busy, so that it takes them together."""
    from threading import Event

    from workers.inference.batcher import Group, Item

    goes_on = Event()
    with ThreadPoolExecutor(len(works) + 1) as threads:
        busy = threads.submit(
            workbench.batcher.run,
            make_job(),
            Group("busy"),
            [Item(None)],
            lambda values: [goes_on.wait(30)] * len(values),
        )
        running = [threads.submit(work) for work in works]
        while len(workbench.batcher) < len(works):
            assert not busy.done()
        goes_on.set()
        return [one.result(60) for one in running]


@pytest.mark.parametrize(
    ("kind", "specs"),
    [
        (classify_text, [ClassifyText(model="mood", texts=[text], top_k=None) for text in FOUR]),
        (classify_tokens, [ClassifyTokens(model="entities", texts=[text], ignore_labels=[]) for text in FOUR]),
        (summarize_text, [SummarizeText(model="summarizer", texts=[text]) for text in FOUR]),
        (summarize_text, [SummarizeText(model="prefixed", texts=[text], max_new_tokens=9) for text in FOUR]),
        (
            generate_text,
            [
                GenerateText(model="continuer", prompts=[text], do_sample=False, max_new_tokens=9)
                for text in ("who", "the cat", CALM)
            ],
        ),
        (classify_audio, [ClassifyAudio(model="listener", audio=[{"file": f"sound {n}"}]) for n in range(4)]),
        (transcribe_audio, [TranscribeAudio(model="speller", audio=[{"file": f"sound {n}"}]) for n in range(4)]),
        (
            transcribe_audio,
            [
                TranscribeAudio(
                    model="transcriber", audio=[{"file": f"sound {n}"}], max_new_tokens=9, return_timestamps="word"
                )
                for n in range(4)
            ],
        ),
    ],
    ids=["classes", "tokens", "bart", "t5", "gpt2", "sounds", "ctc", "whisper"],
)
def test_together_as_alone(
    kind: Kind,
    specs: Sequence[Any],
    shelf: Shelf,
    workbench: Workbench,
    hf: HuggingFaceRuntime,
    make_job: MakeJob,
    sounds: dict[str, Path],
) -> None:
    shelf.model(specs[0].model.directory)
    alone = [kind.run(spec, make_job(sounds), hf).model_dump(mode="json")["outputs"] for spec in specs]
    jobs = [make_job(sounds) for _ in specs]
    works = [lambda spec=spec, job=job: kind.run(spec, job, hf) for spec, job in zip(specs, jobs, strict=True)]
    together = _held_up(workbench, make_job, works)
    _assert_close([result.model_dump(mode="json")["outputs"] for result in together], alone)
    if specs[0].kind != "classify_audio":  # it hears sounds of different lengths one by one
        assert max(job.figures["batch_size"] for job in jobs) > 1


def test_a_seed_makes_chance_repeatable(shelf: Shelf, hf: HuggingFaceRuntime, make_job: MakeJob) -> None:
    shelf.model("continuer")
    spec = GenerateText(model="continuer", prompts=["who", "who"], do_sample=True, seed=5, max_new_tokens=12)
    first = generate_text.run(spec, make_job(), hf)
    torch.manual_seed(1)
    assert generate_text.run(spec, make_job(), hf) == first
    assert first.outputs[0] != first.outputs[1]


@pytest.mark.parametrize("model", ["continuer", "prefixed"])
def test_a_stream_says_what_the_result_says(
    model: str, shelf: Shelf, hf: HuggingFaceRuntime, make_job: MakeJob
) -> None:
    shelf.model(model)
    job = make_job()
    spec = GenerateText(
        model=model, prompts=["who", "the cat"], do_sample=False, max_new_tokens=20, return_full_text=False, stream=True
    )
    outputs = generate_text.run(spec, job, hf).model_dump()["outputs"]
    written = [one[0] if isinstance(one, list) else one for one in outputs]
    for index, output in enumerate(written):
        assert "".join(text for at, text in job.outputs if at == index) == output["generated_text"]
        assert output["generated_text"]


def test_what_is_written_anew_is_said_once() -> None:
    said: list[str] = []
    teller = Teller(said.append, lambda tokens: "".join(map(chr, tokens)))
    for token in (97, 98):
        teller.hear(token)
    teller.tell()
    again = TellingStreamer([teller], skip_first=True)
    for tokens in ([1, 2], [97], [98], [99]):
        again.put(torch.tensor(tokens))
    again.flush()
    assert "".join(said) == "abc"


def test_writing_ends_at_a_stop_string(shelf: Shelf, hf: HuggingFaceRuntime, make_job: MakeJob) -> None:
    shelf.model("continuer")
    asked = {"model": "continuer", "prompts": ["who"], "do_sample": False, "max_new_tokens": 12}
    (whole,) = generate_text.run(GenerateText(**asked), make_job(), hf).outputs[0]
    (short,) = generate_text.run(GenerateText(**asked, stop_strings=[" fall"]), make_job(), hf).outputs[0]
    assert whole.generated_text.startswith(short.generated_text)
    assert short.generated_text.endswith(" fall") != whole.generated_text.endswith(" fall")


def test_the_models_own_settings_count_before_the_pipelines(
    shelf: Shelf, hf: HuggingFaceRuntime, make_job: MakeJob
) -> None:
    shelf.model("summarizer")
    by_default = summarize_text.run(SummarizeText(model="summarizer", texts=[TRAVEL]), make_job(), hf)
    asked = summarize_text.run(
        SummarizeText(model="summarizer", texts=[TRAVEL], max_length=22, num_beams=4), make_job(), hf
    )
    assert by_default == asked


def test_a_cancelled_job_stops_to_write(
    shelf: Shelf, hf: HuggingFaceRuntime, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.model("continuer")
    job = make_job()

    def cancel(_index: int, _text: str) -> None:
        job.request("cancel")

    monkeypatch.setattr(job, "output", cancel)
    spec = GenerateText(model="continuer", prompts=["who"] * 64, max_new_tokens=120, stream=True)
    with pytest.raises(JobCancelled):
        generate_text.run(spec, job, hf)


def test_one_bad_job_fails_alone(shelf: Shelf, workbench: Workbench, hf: HuggingFaceRuntime, make_job: MakeJob) -> None:
    shelf.model("mood")
    good = ClassifyText(model="mood", texts=[CALM, PEOPLE])
    bad = ClassifyText(model="mood", texts=[SUMMER, " ".join(FOUR * 3)])
    with pytest.raises(InvalidInput, match=r"Text 1 has \d+ tokens, and the model takes 64"):
        classify_text.run(bad, make_job(), hf)
    assert len(classify_text.run(good, make_job(), hf).outputs) == 2


def _assert_close(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            _assert_close(one, other)
    elif isinstance(expected, float):
        assert math.isclose(found, expected, rel_tol=1e-4, abs_tol=1e-5)
    else:
        assert found == expected
