import fcntl
import itertools
import os
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import ArtifactInput, FileInput
from tasks.errors import JobCancelled, JobHandedBack, JobStoppedEmpty, ModelLoadFailed, StorageError, UpstreamError
from tasks.models import DirectoryModel, ModelRef, NamedModel
from tests.fakes.job_context import FakeJobContext
from tests.unit.inference.model_files import make_model, safetensors
from workers.inference.archive import unpack
from workers.inference.attention import Attention
from workers.inference.library_floors import require_safe
from workers.inference.model_disk import Hold, ModelDisk
from workers.inference.model_files import KnownFiles, marks_of, sha256_of
from workers.inference.model_scan import scan
from workers.inference.model_source import ModelSources

UPLOAD = FileInput(file="upload")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    make_model(tmp_path / "packed", modeling_x__py="import os")
    return Path(shutil.make_archive(str(tmp_path / "upload"), "gztar", tmp_path, "packed"))


def sources_of(tmp_path: Path, **settings: Any) -> ModelSources:
    return ModelSources({"models": str(tmp_path / "models"), "model_cache": str(tmp_path / "cache"), **settings})


def with_upload(tmp_path: Path, path: Path) -> FakeJobContext:
    return FakeJobContext(tmp_path / "job", {"upload": path, "model.tar.gz": path, "mini": path})


def test_a_directory_of_the_operator(tmp_path: Path, job: FakeJobContext) -> None:
    make_model(tmp_path / "models" / "mini")
    sources = sources_of(tmp_path)
    folder = sources.folder(DirectoryModel(directory="mini"), job)
    assert (folder.path, folder.label, folder.revision) == (tmp_path / "models" / "mini", "dir:mini", None)
    assert folder.weight_bytes == len(safetensors())
    assert sources.folder(DirectoryModel(directory="mini"), job) == folder
    (folder.path / "config.json").write_text('{"model_type": "gpt2"}')
    assert sources.folder(DirectoryModel(directory="mini"), job).identity != folder.identity
    (folder.path / "config.json").write_text('{"auto_map": {"AutoModel": "x.Y"}}')
    with pytest.raises(ModelLoadFailed, match=r"config\.json is refused"):
        sources.folder(DirectoryModel(directory="mini"), job)
    with pytest.raises(ModelLoadFailed, match="no directory other under TURNOUT_MODELS"):
        sources.folder(DirectoryModel(directory="other"), job)
    with pytest.raises(ModelLoadFailed, match="no directory mini under TURNOUT_MODELS"):
        ModelSources({"model_cache": str(tmp_path / "cache")}).folder(DirectoryModel(directory="mini"), job)


SLOW: dict[str, tuple[ModelRef, str, Callable[..., Any]]] = {
    "a directory is read": (DirectoryModel(directory="mini"), "model_source.scan", scan),
    "an upload is read": (UPLOAD, "uploads.sha256_of", sha256_of),
    "an upload is unpacked": (UPLOAD, "uploads.unpack", unpack),
}


@pytest.mark.parametrize(("ref", "step", "do"), SLOW.values(), ids=SLOW)
def test_who_is_cancelled_while_a_model_is_read_goes_and_the_others_share_it(
    tmp_path: Path,
    archive: Path,
    monkeypatch: pytest.MonkeyPatch,
    ref: ModelRef,
    step: str,
    do: Callable[..., Any],
) -> None:
    """For a large model that takes longer than a cancelled job has until its runner is ended."""
    make_model(tmp_path / "models" / "mini")
    reading, go_on, times = threading.Event(), threading.Event(), itertools.count()

    def slowly(*what: Any) -> Any:
        next(times)
        reading.set()
        assert go_on.wait(10)
        return do(*what)

    monkeypatch.setattr(f"workers.inference.{step}", slowly)
    sources, jobs = sources_of(tmp_path), [with_upload(tmp_path, archive) for _ in range(3)]
    with ThreadPoolExecutor() as threads:
        first, *others = [threads.submit(sources.folder, ref, job) for job in jobs]
        assert reading.wait(10)
        jobs[0].request("cancel")
        with pytest.raises(JobCancelled):
            first.result(10)
        go_on.set()
        assert len({other.result(10).identity for other in others}) == 1
    assert next(times) == 1


def test_an_upload_is_unpacked_once_for_all(tmp_path: Path, archive: Path) -> None:
    job = with_upload(tmp_path, archive)
    sources = sources_of(tmp_path)
    folder = sources.folder(UPLOAD, job)
    assert (folder.path / "config.json").is_file()
    assert folder.ignored == ("modeling_x.py",)
    assert folder.label.startswith("upload:")
    unpacked_at = (folder.path / "config.json").stat().st_ino
    artifact = sources_of(tmp_path).folder(ArtifactInput(job="1", artifact="model.tar.gz"), job)
    assert (artifact.path, artifact.label) == (folder.path, "job:1/model.tar.gz")
    assert (artifact.path / "config.json").stat().st_ino == unpacked_at
    assert folder.name == folder.label[:19]
    assert sources.folder(UPLOAD, job).identity == folder.identity
    # An entry that was damaged is unpacked anew, once nobody uses it.
    del folder, artifact
    path = sources.folder(UPLOAD, job).path / "config.json"
    path.write_text("{}")
    assert sources.folder(UPLOAD, job).path == path.parent
    assert path.read_text() != "{}"


def test_a_named_model_counts_by_its_content(tmp_path: Path, archive: Path) -> None:
    """Names are their owners', so no list of models goes by them."""
    job, named = with_upload(tmp_path, archive), NamedModel(model="mini", version=2)
    uploaded = sources_of(tmp_path).folder(UPLOAD, job)
    folder = sources_of(tmp_path, models_allow=[uploaded.label]).folder(named, job)
    assert (folder.name, folder.label, folder.path) == ("model:mini/2", uploaded.label, uploaded.path)
    assert folder.identity == uploaded.identity
    with pytest.raises(ModelLoadFailed, match="not on this worker's list"):
        sources_of(tmp_path, models_allow=["model:*", "dir:*"]).folder(named, job)
    with pytest.raises(ModelLoadFailed, match="from trusted places"):
        sources_of(tmp_path, models_trusted=["model:*", "mini"]).folder(named, job, "torch")


@pytest.mark.parametrize(
    ("allow", "allowed"),
    [(None, True), (["upload:*"], True), (["dir:*", "job:*"], False), (["org/*"], False), ([], False)],
)
def test_the_list_of_allowed_models(tmp_path: Path, archive: Path, allow: list[str] | None, allowed: bool) -> None:
    sources = sources_of(tmp_path, **({} if allow is None else {"models_allow": allow}))
    job = with_upload(tmp_path, archive)
    if allowed:
        assert sources.folder(UPLOAD, job)
        return
    with pytest.raises(ModelLoadFailed, match=r"not on this worker's list of allowed models \(TURNOUT_MODELS_ALLOW\)"):
        sources.folder(UPLOAD, job)
    assert not any((tmp_path / "cache" / "entries").iterdir())


def test_uploads_that_are_no_model(tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.write_bytes(safetensors())
    with pytest.raises(ModelLoadFailed, match="The uploaded file is no archive: pack the model's directory"):
        sources_of(tmp_path).folder(UPLOAD, with_upload(tmp_path, alone))
    with tarfile.open(tmp_path / "links.tar", "w") as packed:
        link = tarfile.TarInfo("model.safetensors")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(link)
    with pytest.raises(ModelLoadFailed, match=r"model\.safetensors is a link"):
        sources_of(tmp_path).folder(UPLOAD, with_upload(tmp_path, tmp_path / "links.tar"))
    assert not [entry for entry in (tmp_path / "cache" / "entries").iterdir() if entry.is_dir()]
    with pytest.raises(StorageError, match="can't be read"):
        sources_of(tmp_path).folder(UPLOAD, with_upload(tmp_path, tmp_path / "gone"))


def test_programs_come_from_trusted_places_only(tmp_path: Path) -> None:
    program = tmp_path / "program"
    with zipfile.ZipFile(program, "w") as packed:
        packed.writestr("program/data.pkl", b"\x80")
    job = with_upload(tmp_path, program)
    with pytest.raises(ModelLoadFailed, match=r"from trusted places \(dir:\*; TURNOUT_MODELS_TRUSTED\)"):
        sources_of(tmp_path).folder(UPLOAD, job, "torch")
    assert sources_of(tmp_path, models_trusted=["upload:*"]).folder(UPLOAD, job, "torch").program.name == "model.pt"
    with pytest.raises(ModelLoadFailed, match=r"from trusted places \(none;"):
        sources_of(tmp_path, models_trusted=[]).folder(UPLOAD, job, "torch")


def known(directory: Path, size: int) -> KnownFiles:
    (directory / "weights").write_bytes(b"x" * size)
    return KnownFiles(marks_of(directory), (), ())


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    disk = ModelDisk(tmp_path, 100)
    held = disk.entry("held", lambda directory: known(directory, 30), lambda: None)
    for number, key in enumerate(("old", "new")):
        disk.entry(key, lambda directory: known(directory, 30), lambda: None)
        os.utime(tmp_path / f"{key}.json", (number, number))
    os.utime(tmp_path / "held.json", (0, 0))
    disk.make_room(20)
    assert held.path.is_dir()
    assert not (tmp_path / "old").exists()
    assert (tmp_path / "new").is_dir()
    with pytest.raises(ModelLoadFailed, match=r"more than the .* for all models on this worker's disk"):
        disk.make_room(101)
    with pytest.raises(StorageError, match="leave no room"):
        disk.make_room(90)
    del held
    disk.make_room(90)
    assert not (tmp_path / "held").exists()


def test_a_full_disk_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1 << 20))
    with pytest.raises(StorageError, match="disk has no room for the model's 5 MB"):
        ModelDisk(tmp_path, 1 << 30).make_room(5 << 20)


def test_a_filling_that_broke_off_is_finished_by_the_next(tmp_path: Path) -> None:
    disk = ModelDisk(tmp_path, 1000)

    def broken(directory: Path) -> KnownFiles:
        (directory / "half").touch()
        raise UpstreamError("gone")

    with pytest.raises(UpstreamError):
        disk.entry("model", broken, lambda: None)
    assert (tmp_path / "model" / "half").exists()
    assert disk.entry("model", lambda directory: known(directory, 1), lambda: None).path == tmp_path / "model"


def test_who_is_overtaken_does_not_wait_for_who_uses_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To take a lock alone gives up the shared one first, and somebody else may come in between."""
    disk, pauses = ModelDisk(tmp_path, 1000), iter(range(3))
    taking, users = Hold.try_to_take, []

    def overtaken(hold: Hold, how: int) -> bool:
        if how == fcntl.LOCK_EX and not users:
            hold.let_go()
            users.append("somebody else")
            users[:] = [disk.entry("model", lambda directory: known(directory, 1), lambda: next(pauses))]
        return taking(hold, how)

    monkeypatch.setattr(Hold, "try_to_take", overtaken)
    found = disk.entry("model", lambda directory: known(directory, 2), lambda: next(pauses))
    assert [found.known] == [user.known for user in users]


def test_attention(job: FakeJobContext) -> None:
    Attention(job).pause()
    job.request_hand_back()
    with pytest.raises(JobHandedBack):
        Attention(job).look()
    job.request("stop")
    with pytest.raises(JobStoppedEmpty):
        Attention(job).look()
    job.request("cancel")
    with pytest.raises(JobCancelled):
        Attention(job).pause()


@pytest.mark.parametrize(
    ("version", "fine"), [("5.2.9", False), ("5.3.0", True), ("5.23.0+cpu", True), ("6.0.dev1", True), ("odd", False)]
)
def test_old_libraries_are_refused(monkeypatch: pytest.MonkeyPatch, version: str, fine: bool) -> None:
    monkeypatch.setattr(metadata, "version", lambda _name: version)
    if fine:
        require_safe("transformers")
        return
    with pytest.raises(UpstreamError, match=r"its operator has to install 5\.3 or newer"):
        require_safe("transformers")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(UpstreamError, match="lacks the package torch"):
        require_safe("torch")


def test_onnxruntime_may_be_the_one_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"onnxruntime-gpu": "1.31.1"}

    def version(name: str) -> str:
        if name not in there:
            raise metadata.PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(metadata, "version", version)
    require_safe("onnxruntime")
    there["onnxruntime-gpu"] = "1.26.0"
    with pytest.raises(UpstreamError, match=r"onnxruntime 1\.26\.0, .* install 1\.27 or newer"):
        require_safe("onnxruntime")
