"""Models from the hub: a revision becomes a commit, a commit a directory on this machine's disk."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.contracts import JobContext
from tasks.errors import ModelLoadFailed, UpstreamError
from tasks.models import HubModel
from workers.inference.attention import Attention
from workers.inference.errands import Errands
from workers.inference.model_disk import Entry, ModelDisk, bytes_below
from workers.inference.model_files import KnownFiles, marks_of, sha256_of
from workers.inference.model_scan import Form, choose_program, require_weights, scan
from workers.inference.source_settings import SourceSettings

# For so long a branch or tag counts as being where it was seen last.
REVISION_SECONDS = 600.0
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHARD = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_TEXTS = (".json", ".txt", ".model", ".jinja", ".tiktoken", ".vocab")
_MOST_TEXT_BYTES = 128 << 20
_GLOB_MARKS = set("*?[")
_TELL_SECONDS, _LOOK_SECONDS = 2.0, 0.2
_MOST_KEY_CHARACTERS = 100
_INHERITED = ("PATH", "LANG", "TMPDIR", "HOME", "PYTHONPATH", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class HubFile:
    """One file of a commit, with what the hub says of its content."""

    name: str
    size_bytes: int
    sha256: str | None
    git_sha1: str | None

    def check(self, path: Path) -> None:
        """Raises ``ModelLoadFailed`` if something else arrived."""
        if self.sha256 is not None:
            arrived = sha256_of(path) == self.sha256
        elif self.git_sha1 is not None:
            content = path.read_bytes()
            git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
            arrived = git == self.git_sha1
        else:
            arrived = path.stat().st_size == self.size_bytes
        if not arrived:
            raise ModelLoadFailed(f"{self.name} did not arrive as the hub has it: its hash is another.")


class Hub:
    """Downloads models, each once for all runners of this home."""

    def __init__(self, settings: SourceSettings, disk: ModelDisk) -> None:
        self._settings = settings
        self._disk = disk
        self._asking = threading.Lock()
        self._errands = Errands()
        self._seen_root = settings.cache / "revisions"
        self._seen_root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def commit_of(self, ref: HubModel, job: JobContext) -> str:
        """The commit that the revision is at; a moving one is looked up again after ten minutes."""
        if _COMMIT.fullmatch(ref.revision):
            return ref.revision
        attention = Attention(job)
        # Of many jobs that want the same, one asks.
        while not self._asking.acquire(timeout=_LOOK_SECONDS):
            attention.look()
        try:
            return self._looked_up(ref, job)
        finally:
            self._asking.release()

    def _looked_up(self, ref: HubModel, job: JobContext) -> str:
        seen = self._seen(ref)
        if seen is not None and (self._settings.offline or time.time() - seen[1] < REVISION_SECONDS):
            return seen[0]
        if self._settings.offline:
            raise ModelLoadFailed(_offline(ref, "was never looked up here"))
        try:
            commit, _files = self._list(ref.hub, ref.revision, job)
        except UpstreamError as exc:
            if seen is None:
                raise
            job.log(f"{exc} The commit that {ref.revision} was at before is used.", "warning")
            return seen[0]
        self._note(ref, commit)
        return commit

    def directory(self, ref: HubModel, commit: str, form: Form, file: str | None, job: JobContext) -> Entry:
        """The commit's files that the form needs, checked."""
        chosen = "" if file is None else f"--{hashlib.sha256(file.encode()).hexdigest()[:16]}"
        # Equal commits have equal content, whatever the rest of the name.
        name = ref.hub.replace("/", "--")[:_MOST_KEY_CHARACTERS]
        key = f"hub--{name}--{commit}--{form}{chosen}"

        def fill(target: Path) -> KnownFiles:
            if self._settings.offline:
                raise ModelLoadFailed(_offline(ref, "has not been downloaded to this machine"))
            return self._fill(target, ref.hub, commit, form, file, job)

        return self._disk.entry(key, fill, Attention(job).pause)

    def _fill(self, target: Path, hub: str, commit: str, form: Form, file: str | None, job: JobContext) -> KnownFiles:
        found, files = self._list(hub, commit, job)
        if found != commit:
            raise UpstreamError(f"The hub answered for another commit of {hub} than it was asked for.")
        wanted = needed(files, form, file)
        total = sum(one.size_bytes for one in wanted)
        self._disk.make_room(max(total - bytes_below(target), 0))
        job.log(f"Downloading {hub} at {commit[:12]}: {len(wanted)} files, {total / 1e6:.1f} MB.")
        names = [one.name for one in wanted]
        order = {"download": {"hub": hub, "commit": commit, "names": names, "target": str(target)}}
        self._ask(hub, order, job, _Arriving(target, total, job))

        def look() -> KnownFiles:
            for one in wanted:
                if not (target / one.name).is_file():
                    raise UpstreamError(f"The hub did not send {one.name} of {hub}.")
                one.check(target / one.name)
            program = None if form == "huggingface" else choose_program(names, form, file)
            return scan(target, marks_of(target), form, program)

        return self._errands.result(object(), look, job)

    def _list(self, hub: str, revision: str, job: JobContext) -> tuple[str, list[HubFile]]:
        answer = self._ask(hub, {"list": {"hub": hub, "revision": revision}}, job)
        commit = str(answer["commit"])
        if not _COMMIT.fullmatch(commit):
            raise UpstreamError(f"The hub names no commit for {hub}.")
        return commit, [HubFile(**file) for file in answer["files"]]

    def _ask(
        self, hub: str, order: Mapping[str, Any], job: JobContext, arriving: "_Arriving | None" = None
    ) -> dict[str, Any]:
        """Have a child process do it; it is killed when the job is to end."""
        attention = Attention(job)
        # A file, since a pipe that nobody empties would stop the child.
        with tempfile.TemporaryFile("w+") as answer:
            command = [sys.executable, "-P", "-m", "workers.inference.hub_child"]
            child = subprocess.Popen(command, env=self._environment(), stdin=subprocess.PIPE, stdout=answer, text=True)
            try:
                self._order(child, order)
                while child.poll() is None:
                    attention.pause()
                    if arriving is not None:
                        arriving.tell()
            finally:
                child.kill()
                child.wait()
            answer.seek(0)
            return _understood(hub, answer.read())

    @staticmethod
    def _order(child: subprocess.Popen[str], order: Mapping[str, Any]) -> None:
        if child.stdin is not None:
            # One that died at its start is noticed by its empty answer.
            with suppress(BrokenPipeError), child.stdin:
                child.stdin.write(json.dumps(order) + "\n")

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {
            **inherited,
            "HF_HOME": str(self._settings.cache / "hub_home"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            **({"HF_ENDPOINT": self._settings.hub_endpoint} if self._settings.hub_endpoint else {}),
            **({"HF_TOKEN": self._settings.hub_token} if self._settings.hub_token else {}),
        }

    def _seen(self, ref: HubModel) -> tuple[str, float] | None:
        """The commit that the revision was at last, and when that was."""
        try:
            kept = json.loads(self._seen_place(ref).read_bytes())
            return str(kept["commit"]), float(kept["seen_at"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _note(self, ref: HubModel, commit: str) -> None:
        place = self._seen_place(ref)
        part = place.with_name(f"{place.name}.{os.getpid()}.{threading.get_ident()}.part")
        part.write_text(json.dumps({"commit": commit, "seen_at": time.time()}))
        part.replace(place)

    def _seen_place(self, ref: HubModel) -> Path:
        return self._seen_root / hashlib.sha256(f"{ref.hub}@{ref.revision}".encode()).hexdigest()


class _Arriving:
    """Tells how much of a download is there."""

    def __init__(self, target: Path, total_bytes: int, job: JobContext) -> None:
        self._target = target
        self._total = max(total_bytes, 1)
        self._job = job
        self._told_at = time.monotonic()
        self._there = 0

    def tell(self) -> None:
        if time.monotonic() - self._told_at > _TELL_SECONDS:
            before, self._there = self._there, bytes_below(self._target)
            # What says nothing new would count as progress all the same.
            if self._there > before:
                words = f"{self._there / 1e6:.0f} of {self._total / 1e6:.0f} MB of the model are here."
                self._job.progress(None, words)
            self._told_at = time.monotonic()


def needed(files: Sequence[HubFile], form: Form, asked: str | None) -> list[HubFile]:
    """Of a commit's files those that are loaded. Raises ``ModelLoadFailed`` if there is nothing to load, before any
    download."""
    fitting = [file for file in files if not _GLOB_MARKS & set(file.name) and not file.name.startswith(".")]
    names = [file.name for file in fitting]
    if form != "huggingface":
        program = choose_program(names, form, asked)
        return [file for file in fitting if file.name == program]
    require_weights(names)
    weights = [name for name in names if name.endswith(".safetensors") and "/" not in name]
    # Others beside the usual ones are the same weights in other precisions.
    usual = [name for name in weights if _SHARD.fullmatch(name)]
    wanted = {*(usual or weights), *(name for name in names if name.endswith(_TEXTS) and name.count("/") < 2)}
    taken = [file for file in fitting if file.name in wanted]
    large = next((file for file in taken if file.name.endswith(_TEXTS) and file.size_bytes > _MOST_TEXT_BYTES), None)
    if large is not None:
        raise ModelLoadFailed(f"{large.name} is refused: it is larger than {_MOST_TEXT_BYTES >> 20} MB.")
    return taken


def _understood(hub: str, answer: str) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(answer)
    except ValueError as exc:
        raise UpstreamError(f"The download of {hub} broke off; the worker's log has the details.") from exc
    if "refused" in said:
        raise ModelLoadFailed(f"The hub has no {hub} for this worker: {said['refused']}.")
    if "unavailable" in said:
        raise UpstreamError(f"The hub can't be reached for {hub}: {said['unavailable']}.")
    return said


def _offline(ref: HubModel, why: str) -> str:
    return (
        f"This worker is offline, and {ref.hub}@{ref.revision} {why}. Put the model into a directory under "
        "TURNOUT_MODELS, or have the worker's operator switch TURNOUT_OFFLINE off."
    )
