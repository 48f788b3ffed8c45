"""From what a spec says of a model to a local directory that has been checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from tasks.contracts import ArtifactInput, FileInput, JobContext
from tasks.errors import ModelLoadFailed
from tasks.models import DirectoryModel, HubModel, ModelRef, NamedModel
from workers.inference.errands import Errands
from workers.inference.hub import Hub
from workers.inference.model_disk import Hold, ModelDisk
from workers.inference.model_files import KnownFiles, ModelFile, marks_of
from workers.inference.model_scan import Form, choose_program, scan
from workers.inference.source_settings import SourceSettings
from workers.inference.uploads import Uploads

_SHOWN_DIGITS = 12


@dataclass(frozen=True)
class ModelFolder:
    """A model's files, read only. They stay at least as long as this object is referred to.

    ``identity`` is equal only for equal content; ``name`` is for people; ``label`` is what the lists of allowed and
    trusted models see; ``ignored`` are files beside it that are not loaded.
    """

    path: Path
    identity: str
    name: str
    label: str
    revision: str | None
    files: tuple[ModelFile, ...]
    ignored: tuple[str, ...]
    hold: Hold | None = field(default=None, repr=False, compare=False)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def weight_bytes(self) -> int:
        """What the weights take as they are stored."""
        return sum(file.size_bytes for file in self.files if file.name.endswith(".safetensors"))

    @property
    def program(self) -> Path:
        """The one file of a model that is a program."""
        return self.path / self.files[0].name


class ModelSources:
    """Finds models for the jobs of one runner; may be asked from many threads at once."""

    def __init__(self, settings: Mapping[str, JsonValue]) -> None:
        self.settings = SourceSettings.of(settings)
        disk = ModelDisk(self.settings.cache / "entries", self.settings.disk_bytes)
        self._hub = Hub(self.settings, disk)
        self._uploads = Uploads(disk)
        self._known: dict[tuple[Path, Form, str | None], KnownFiles] = {}
        self._scans = Errands()

    def folder(
        self, ref: ModelRef, job: JobContext, form: Form = "huggingface", file: str | None = None
    ) -> ModelFolder:
        """The model that a spec names, downloaded or unpacked if need be. Of a model that is a program, ``file`` is the
        one to run where there are several.

        Raises ``ModelLoadFailed`` that names the file and the reason, ``UpstreamError`` and ``StorageError`` for what
        may pass, and ``JobCancelled`` and the like when the job is to end meanwhile.
        """
        match ref:
            case HubModel():
                return self._from_hub(ref, job, form, file)
            case DirectoryModel():
                return self._from_directory(ref, job, form, file)
            case FileInput() | ArtifactInput() | NamedModel():
                return self._from_upload(ref, job, form, file)

    def _from_hub(self, ref: HubModel, job: JobContext, form: Form, file: str | None) -> ModelFolder:
        self.settings.require_allowed(ref.hub)
        self._require_fitting(ref.hub, form)
        commit = self._hub.commit_of(ref, job)
        entry = self._hub.directory(ref, commit, form, file, job)
        if commit != ref.revision:
            job.log(f"Model {ref.hub}: {ref.revision} is commit {commit}.")
        return _folder(entry.path, entry.known, ref.hub, commit, entry.hold)

    def _from_directory(self, ref: DirectoryModel, job: JobContext, form: Form, file: str | None) -> ModelFolder:
        label = f"dir:{ref.directory}"
        self.settings.require_allowed(label)
        self._require_fitting(label, form)
        if self.settings.models is None or not (root := self.settings.models / ref.directory).is_dir():
            raise ModelLoadFailed(
                f"This worker has no directory {ref.directory} under TURNOUT_MODELS. A model of the hub is named "
                "org/name, or hub:name if it has no organisation."
            )
        try:
            return _folder(root, self._scanned(root, job, form, file), label, None, None)
        except OSError as exc:
            raise ModelLoadFailed(f"The directory {ref.directory} can't be read: {exc.strerror}.") from exc

    def _from_upload(
        self, ref: FileInput | ArtifactInput | NamedModel, job: JobContext, form: Form, file: str | None
    ) -> ModelFolder:
        path = job.input_path(ref)
        sha256 = self._uploads.sha256_of(path, job)
        # Not by its name is a named one allowed or trusted: everybody may give any name to anything.
        label = f"job:{ref.job}/{ref.artifact}" if isinstance(ref, ArtifactInput) else f"upload:{sha256}"
        self.settings.require_allowed(label)
        self._require_fitting(label, form)
        entry = self._uploads.directory(path, sha256, form, file, job)
        named = f"model:{ref.model}/{ref.version}" if isinstance(ref, NamedModel) else None
        return _folder(entry.path, entry.known, label, None, entry.hold, named)

    def _require_fitting(self, label: str, form: Form) -> None:
        if form == "torch":
            self.settings.require_trusted(label)

    def _scanned(self, root: Path, job: JobContext, form: Form, file: str | None) -> KnownFiles:
        """Scanned anew only when a file of the directory has changed."""
        marks = marks_of(root)
        key = (root, form, file)

        def look() -> KnownFiles:
            program = None if form == "huggingface" else choose_program([mark[0] for mark in marks], form, file)
            known = self._known[key] = scan(root, marks, form, program)
            return known

        known = self._known.get(key)
        if known is None or known.marks != marks:
            # Of many jobs that want the same, one reads it.
            known = self._scans.result((key, marks), look, job)
        return known


def _folder(
    path: Path, known: KnownFiles, label: str, revision: str | None, hold: Hold | None, named: str | None = None
) -> ModelFolder:
    name = f"{label}@{revision[:_SHOWN_DIGITS]}" if revision else label
    if label.startswith("upload:"):
        name = label[: len("upload:") + _SHOWN_DIGITS]
    return ModelFolder(
        path=path,
        identity=f"{name}#{known.digest}",
        name=named or name,
        label=label,
        revision=revision,
        files=known.files,
        ignored=known.ignored,
        hold=hold,
    )
