"""The real client of the hub against a server that speaks its API."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import JobCancelled, ModelLoadFailed, UpstreamError
from tasks.models import HubModel
from tests.contract.hub.hub_server import COMMITS, HubServer
from tests.fakes.job_context import FakeJobContext
from tests.unit.inference.model_files import safetensors
from tests.waiting import until
from workers.inference.model_source import ModelFolder, ModelSources

FILES = {
    "config.json": b'{"model_type": "bert"}',
    "tokenizer.json": b'{"model": {"vocab": {"a": 0}}}',
    "model.safetensors": safetensors(),
    "model.fp16.safetensors": safetensors(),
    "pytorch_model.bin": b"\x80pickle",
    "modeling_tiny.py": b"import os",
    "1_Pooling/config.json": b"{}",
    "onnx/model.onnx": b"\x08\x07\x3a\x00",
}
TINY = HubModel(hub="org/tiny")


@pytest.fixture
def hub() -> Iterator[HubServer]:
    server = HubServer()
    server.commits = {commit: dict(FILES) for commit in COMMITS}
    yield server
    server.gate.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def sources(hub: HubServer, tmp_path: Path) -> Callable[..., ModelSources]:
    def make(**settings: Any) -> ModelSources:
        return ModelSources({"model_cache": str(tmp_path / "cache"), "hub_endpoint": hub.url, **settings})

    return make


Sources = Callable[..., ModelSources]


def names_below(folder: ModelFolder) -> set[str]:
    return {str(file.relative_to(folder.path)) for file in folder.path.rglob("*") if file.is_file()}


def test_a_branch_becomes_a_commit_and_its_files_come_once(
    hub: HubServer, sources: Sources, make_job: Callable[[], FakeJobContext]
) -> None:
    job = make_job()
    folder = sources(hub_token="hf_secret").folder(TINY, job)
    assert folder.revision == COMMITS[0]
    expected = {"config.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json"}
    assert {file.name for file in folder.files} == expected
    assert {name for name in names_below(folder) if not name.startswith(".cache")} == expected
    assert ("info", f"Model org/tiny: main is commit {COMMITS[0]}.") in job.lines
    assert hub.tokens == {"Bearer hf_secret"}
    hub.main = COMMITS[1]
    hub.asked.clear()
    # Another runner of the same home; the branch was looked up a moment ago.
    again = sources().folder(TINY, make_job())
    assert (again.identity, again.revision) == (folder.identity, COMMITS[0])
    assert not hub.asked
    by_commit = sources().folder(HubModel(hub="org/tiny", revision=COMMITS[0]), make_job())
    assert by_commit.path == folder.path
    assert not hub.asked
    # What was looked up and downloaded is there without the hub, too.
    offline = sources(offline=True)
    assert offline.folder(TINY, make_job()).path == folder.path
    with pytest.raises(ModelLoadFailed, match=rf"offline, and org/tiny@{COMMITS[1]} has not been downloaded"):
        offline.folder(HubModel(hub="org/tiny", revision=COMMITS[1]), make_job())
    with pytest.raises(ModelLoadFailed, match="offline, and org/tiny@v1 was never looked up here"):
        offline.folder(HubModel(hub="org/tiny", revision="v1"), make_job())


def test_what_the_hub_refuses_or_lacks(
    hub: HubServer, sources: Sources, make_job: Callable[[], FakeJobContext]
) -> None:
    asked = sources()
    with pytest.raises(ModelLoadFailed, match="no org/other for this worker: there is no such model"):
        asked.folder(HubModel(hub="org/other"), make_job())
    with pytest.raises(ModelLoadFailed, match="it has no such revision"):
        asked.folder(HubModel(hub="org/tiny", revision="v9"), make_job())
    hub.status = 503
    with pytest.raises(UpstreamError, match="HTTP 503"):
        asked.folder(TINY, make_job())
    with pytest.raises(UpstreamError, match="the connection failed"):
        sources(hub_endpoint="http://127.0.0.1:9").folder(TINY, make_job())


def test_nothing_is_downloaded_that_will_be_refused(
    hub: HubServer, sources: Sources, make_job: Callable[[], FakeJobContext]
) -> None:
    hub.commits[COMMITS[0]] = {"config.json": b"{}", "pytorch_model.bin": b"\x80"}
    with pytest.raises(ModelLoadFailed, match=r"pytorch_model\.bin is refused: only safetensors"):
        sources().folder(TINY, make_job())
    with pytest.raises(ModelLoadFailed, match="org/tiny is not on this worker's list of allowed models"):
        sources(models_allow=["other/*"]).folder(TINY, make_job())
    with pytest.raises(ModelLoadFailed, match="a PyTorch program can carry code"):
        sources().folder(TINY, make_job(), "torch")
    assert set(hub.asked) <= {"list main", f"list {COMMITS[0]}"}


def test_what_did_not_arrive_whole_is_refused(
    hub: HubServer, sources: Sources, make_job: Callable[[], FakeJobContext]
) -> None:
    for name in ("model.safetensors", "config.json"):
        hub.wrong = {name: bytes(len(FILES[name]))}
        with pytest.raises(ModelLoadFailed, match=f"{name} did not arrive as the hub has it"):
            sources().folder(TINY, make_job())
    hub.wrong = {}
    assert sources().folder(TINY, make_job()).revision == COMMITS[0]


def test_a_program_alone(hub: HubServer, sources: Sources, make_job: Callable[[], FakeJobContext]) -> None:
    folder = sources().folder(TINY, make_job(), "onnx", "onnx/model.onnx")
    assert folder.program == folder.path / "onnx" / "model.onnx"
    assert "model.safetensors" not in hub.asked


def test_two_at_once_download_once_and_a_cancel_ends_the_wait(
    hub: HubServer, sources: Sources, make_job: Callable[[], FakeJobContext]
) -> None:
    hub.gate.clear()
    shared, folders = sources(), []
    cancelled = make_job()
    downloading = [
        threading.Thread(target=lambda job: folders.append(shared.folder(TINY, job)), args=(make_job(),)) for _ in "123"
    ]
    for thread in downloading:
        thread.start()
    until(lambda: hub.asked["model.safetensors"] == 1, 30)
    cancelled.request("cancel")
    with pytest.raises(JobCancelled):
        sources().folder(TINY, cancelled)
    waiting = threading.Thread(target=lambda: folders.append(sources().folder(TINY, make_job())))
    waiting.start()
    hub.gate.set()
    for thread in downloading:
        thread.join(30)
    waiting.join(30)
    assert len({folder.path for folder in folders}) == 1
    assert len(folders) == 4
    assert hub.asked["list main"] == 1
    assert hub.asked["model.safetensors"] == 1


def test_a_cancel_ends_a_download(hub: HubServer, sources: Sources, make_job: Callable[[], FakeJobContext]) -> None:
    hub.gate.clear()
    job = make_job()
    canceller = threading.Thread(target=_cancel_once, args=(hub, job))
    canceller.start()
    with pytest.raises(JobCancelled):
        sources().folder(TINY, job)
    canceller.join()


def _cancel_once(hub: HubServer, job: FakeJobContext) -> None:
    until(lambda: bool(hub.asked["model.safetensors"]), 30)
    job.request("cancel")
