"""Models that users uploaded or that jobs made: a model's directory as an archive, or a program in one file."""

import hashlib
import shutil
import time
import zipfile
from pathlib import Path

from tasks.contracts import JobContext
from tasks.errors import ModelLoadFailed, StorageError
from workers.inference.archive import Sort, sort_of, strip_single_directory, unpack
from workers.inference.errands import Errands
from workers.inference.model_disk import Entry, ModelDisk
from workers.inference.model_files import KnownFiles, marks_of, sha256_of
from workers.inference.model_scan import Form, choose_program, scan

_PAUSE_SECONDS = 0.1
# What PyTorch writes is a ZIP too, but with these inside.
_PROGRAM_PARTS = ("data.pkl", "constants.pkl", "archive_format", "archive_version")


class Uploads:
    """Unpacks each once for all runners of this home, by the content of the file."""

    def __init__(self, disk: ModelDisk) -> None:
        self._disk = disk
        self._hashes: dict[tuple[Path, int, int], str] = {}
        self._errands = Errands()

    def sha256_of(self, path: Path, job: JobContext) -> str:
        """Files in the store never change, so each is read once."""
        try:
            facts = path.stat()
            mark = (path, facts.st_size, facts.st_mtime_ns)
            known = self._hashes.get(mark)
            if known is None:
                known = self._hashes[mark] = self._errands.result(mark, lambda: sha256_of(path), job)
            return known
        except OSError as exc:
            raise StorageError(f"The model's file can't be read: {exc.strerror}.") from exc

    def directory(self, path: Path, sha256: str, form: Form, file: str | None, job: JobContext) -> Entry:
        """The unpacked files that the form needs, checked."""
        chosen = "" if file is None else f"--{hashlib.sha256(file.encode()).hexdigest()[:16]}"

        def fill(target: Path) -> KnownFiles:
            return self._fill(path, target, form, file)

        key = f"upload--{sha256}--{form}{chosen}"
        present = self._disk.present(key)
        # What is being unpacked is unpacked to its end, whoever asked for it.
        return present or self._errands.result(key, lambda: self._disk.entry(key, fill, _pause), job)

    def _fill(self, path: Path, target: Path, form: Form, file: str | None) -> KnownFiles:
        shutil.rmtree(target)
        target.mkdir()
        self._disk.make_room(path.stat().st_size)
        sort = sort_of(path)
        if sort is None or (sort == "zip" and _is_program(path)):
            _put_alone(path, target, form)
        else:
            _put_unpacked(path, sort, target)
        marks = marks_of(target)
        program = None if form == "huggingface" else choose_program([mark[0] for mark in marks], form, file)
        return scan(target, marks, form, program)


def _pause() -> None:
    time.sleep(_PAUSE_SECONDS)


def _put_unpacked(path: Path, sort: Sort, target: Path) -> None:
    unpack(path, sort, target)
    strip_single_directory(target)


def _put_alone(path: Path, target: Path, form: Form) -> None:
    match form:
        case "huggingface":
            raise ModelLoadFailed(
                "The uploaded file is no archive: pack the model's directory (config.json, tokenizer, safetensors) "
                "into a ZIP or tar.gz file and upload that."
            )
        case "onnx":
            shutil.copyfile(path, target / "model.onnx")
        case "torch":
            shutil.copyfile(path, target / ("model.pt2" if _has_part(path, _EXPORTED) else "model.pt"))


_EXPORTED = ("archive_format",)


def _is_program(path: Path) -> bool:
    return _has_part(path, _PROGRAM_PARTS)


def _has_part(path: Path, parts: tuple[str, ...]) -> bool:
    """Whether a ZIP has such a file in its one directory, as PyTorch's have."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.count("/") == 1 and name.endswith(parts) for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError):
        return False
