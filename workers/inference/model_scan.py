"""Decides whether a directory's files may be loaded as a model. A refusal names the file and the reason.

Only data is loaded: safetensors, JSON, vocabularies; ONNX and PyTorch programs for the kinds that run those. Code
beside them is left alone and named.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from tasks.errors import ModelLoadFailed
from workers.inference.config_scan import check_config, check_template
from workers.inference.model_files import KnownFiles, Marks, ModelFile, sha256_of
from workers.inference.onnx_scan import check_onnx
from workers.inference.safetensors_header import check_safetensors

Form = Literal["huggingface", "onnx", "torch"]

PROGRAMS: dict[Form, tuple[str, ...]] = {
    "huggingface": (),
    "onnx": (".onnx",),
    "torch": (".pt2", ".pt", ".jit", ".ts", ".pth"),
}
_TEXTS = (".txt", ".model", ".tiktoken", ".vocab", ".jinja")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".mar")
_CHECKS: dict[str, Callable[[Path], None]] = {
    ".safetensors": check_safetensors,
    ".json": check_config,
    ".jinja": check_template,
    ".onnx": check_onnx,
}
_CONVERT = (
    "only safetensors are loaded, as a pickle can run code when it is read. Convert it where you trust it: "
    'AutoModel.from_pretrained("…").save_pretrained("…") writes model.safetensors.'
)


def scan(root: Path, marks: Marks, form: Form, chosen: str | None) -> KnownFiles:
    """Check every file that may be loaded, and name those that are not. For programs ``chosen`` is the one to run;
    others beside it are left alone. Raises ``ModelLoadFailed``."""
    wanted = [mark for mark in marks if _is_wanted(mark[0], form, chosen)]
    if form == "huggingface":
        require_weights([mark[0] for mark in marks])
    for name, *_rest in wanted:
        check_file(root / name, name)
    files = tuple(ModelFile(name, size, sha256_of(root / name)) for name, size, _time, _number in wanted)
    taken = {file.name for file in files}
    return KnownFiles(marks, files, tuple(name for name, *_rest in marks if name not in taken))


def check_file(path: Path, name: str) -> None:
    """One file, by its ending. Raises ``ModelLoadFailed``."""
    check = _CHECKS.get(path.suffix)
    try:
        if check is not None:
            check(path)
    except (ValueError, OSError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise ModelLoadFailed(f"{name} is refused: {why}.") from exc


def choose_program(names: Iterable[str], form: Form, asked: str | None) -> str:
    """The program of a model that has one, or the one that was asked for. Raises ``ModelLoadFailed``."""
    programs = sorted(name for name in names if name.endswith(PROGRAMS[form]))
    if asked is not None:
        if asked not in programs:
            raise ModelLoadFailed(f"The model has no {asked}; it has {_listed(programs)}.")
        return asked
    if len(programs) != 1:
        raise ModelLoadFailed(
            f"The model has {_listed(programs)}; name one of them as file."
            if programs
            else f"The model has no file that ends in {' or '.join(PROGRAMS[form])}."
        )
    return programs[0]


def require_weights(names: Sequence[str]) -> None:
    """Raises ``ModelLoadFailed`` unless there are a config and weights as safetensors."""
    if "config.json" not in names:
        raise ModelLoadFailed("config.json is missing: this is no model in the form of Hugging Face's libraries.")
    if any(name.endswith(".safetensors") and "/" not in name for name in names):
        return
    pickle = next((name for name in names if name.endswith(_PICKLES)), None)
    if pickle is not None:
        raise ModelLoadFailed(f"{pickle} is refused: {_CONVERT}")
    raise ModelLoadFailed("There are no weights: a file such as model.safetensors is missing.")


def _is_wanted(name: str, form: Form, chosen: str | None) -> bool:
    if form == "huggingface":
        return name.endswith((".safetensors", ".json", *_TEXTS))
    return name == chosen


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "") or "none"
