"""Reads a model's JSON files for what would make a library load code, or another model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MOST_CONFIG_BYTES = 64 << 20
MOST_TEMPLATE_BYTES = 1 << 20
# Words of a vocabulary are names in these files, and nothing in them is read as a setting.
_VOCABULARIES = {"tokenizer.json", "vocab.json", "added_tokens.json"}
_CODE = "names code that would be loaded with the model; remote code is never run"
# Each has once led to code, for some even with trust_remote_code=False (CVE-2026-4372, CVE-2026-5241).
_FORBIDDEN = {
    "auto_map": _CODE,
    "trust_remote_code": "asks for remote code, which is never run",
    "custom_pipelines": _CODE,
    "custom_pipeline": _CODE,
    "custom_generate": _CODE,
    "_attn_implementation_internal": "may name a kernel on the hub, which is code",
    "kernel_config": "names kernels on the hub, which are code",
    "use_kernels": "asks for kernels from the hub, which are code",
}
_IMPLEMENTATIONS = {"attn_implementation", "_attn_implementation", "experts_implementation", "_experts_implementation"}
# Which file the weights are in: of another sort, the library reads it as a pickle, whatever else it is told.
_WEIGHTS = "transformers_weights"
_WEIGHTS_ENDINGS = (".safetensors", ".safetensors.index.json")
# What these say becomes a tokenizer's arguments, and some of them are the names of files that it reads: those of the
# machine become words that a job can have told. The second one's even count for more than the model's own files.
_TOKENIZER_SETTINGS = {"tokenizer_config.json", "special_tokens_map.json"}
_READ_AS_FILES = {"vocab", "merges", "entity_vocab"}
_FILE_ENDING = "_file"
_HUB_MARKS = set("/:@\\")
_LIBRARY_MODULES = "sentence_transformers."


def check_config(path: Path) -> None:
    """Raises ``ValueError`` that says what is wrong with one JSON file of a model."""
    if path.stat().st_size > MOST_CONFIG_BYTES:
        raise ValueError(f"it is larger than {MOST_CONFIG_BYTES >> 20} MB")
    if path.name == "adapter_config.json":
        raise ValueError("an adapter changes another model; merge it into that model and use the result")
    scanned = path.name not in _VOCABULARIES
    try:
        document = json.loads(path.read_bytes(), object_pairs_hook=_scanned if scanned else None)
    except UnicodeDecodeError as exc:
        raise ValueError("it is no UTF-8 text") from exc
    except json.JSONDecodeError as exc:
        raise ValueError(f"it is no JSON ({exc.msg} in line {exc.lineno})") from exc
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc
    if path.name == "tokenizer.json":
        _check_tokenizer(document)
    elif path.name in _TOKENIZER_SETTINGS:
        _check_tokenizer_settings(document)
    elif path.name == "modules.json":
        _check_modules(document)
    elif path.name.endswith(".safetensors.index.json"):
        _check_index(document, path.parent)


def check_template(path: Path) -> None:
    """A chat template, which transformers renders in a sandbox; raises ``ValueError``."""
    if path.stat().st_size > MOST_TEMPLATE_BYTES:
        raise ValueError(f"it is larger than {MOST_TEMPLATE_BYTES >> 20} MB")


def _scanned(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Called for every object of the document, so that a name which is repeated doesn't hide another's value."""
    for name, value in pairs:
        # Null, false and empty ask for nothing.
        if name in _FORBIDDEN and value:
            raise ValueError(f"{name!r} {_FORBIDDEN[name]}")
        if name in _IMPLEMENTATIONS and _names_a_kernel(value):
            raise ValueError(f"{name!r} names a kernel on the hub, which is code")
        if name == _WEIGHTS and value and not str(value).endswith(_WEIGHTS_ENDINGS):
            raise ValueError(f"{name!r} names {str(value)[:100]!r}; only safetensors are loaded")
    return dict(pairs)


def _names_a_kernel(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_names_a_kernel, value.values()))
    return isinstance(value, str) and bool(_HUB_MARKS & set(value))


def _check_tokenizer(document: Any) -> None:
    match document:
        case {"model": {**model}}:
            pass
        case _:
            raise ValueError("it is no tokenizer: it has no 'model'")
    if not isinstance(model.get("vocab", {}), dict | list):
        raise ValueError("its vocabulary is neither an object nor a list")
    if isinstance(vocabulary := model.get("vocab"), dict):
        wrong = next((word for word, number in vocabulary.items() if not _is_token_id(number)), None)
        if wrong is not None:
            raise ValueError(f"its vocabulary gives {wrong[:50]!r} no number")
    added = document.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(t, dict) and _is_token_id(t.get("id")) for t in added):
        raise ValueError("its added tokens are no list of tokens with numbers")


def _check_tokenizer_settings(document: object) -> None:
    """Places of files that tokenizers were made from remain in old ones, and lead nowhere."""
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")
    if document.get("init_inputs"):
        raise ValueError("'init_inputs' may name files outside of the model")
    # Of these, which are for several versions of the library, one is read as the tokenizer.
    files = document.get("fast_tokenizer_files") or []
    if not isinstance(files, list) or not all(isinstance(name, str) and Path(name).name == name for name in files):
        raise ValueError("'fast_tokenizer_files' names files outside of the model")
    for name, value in document.items():
        if not isinstance(value, str):
            continue
        if name in _READ_AS_FILES or (name.endswith(_FILE_ENDING) and Path(value).is_file()):
            raise ValueError(f"{name!r} names a file outside of the model")


def _is_token_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32


def _check_modules(document: object) -> None:
    """The parts of a sentence-transformers model: each type is imported by its name."""
    modules = document if isinstance(document, list) else [document]
    for module in modules:
        kind = module.get("type") if isinstance(module, Mapping) else None
        if not isinstance(kind, str) or not kind.startswith(_LIBRARY_MODULES):
            raise ValueError(f"it names {str(kind)[:100]!r}, which is no part of sentence-transformers")


def _check_index(document: object, directory: Path) -> None:
    """A file list of weights in several files: a library reads what it names, by the name's ending."""
    weights = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights.values()):
        raise ValueError("it has no 'weight_map' from tensors to files")
    for name in sorted(set(weights.values())):
        if "/" in name or "\\" in name or not name.endswith(".safetensors"):
            raise ValueError(f"it names {name[:100]!r}, which is no safetensors file beside it")
        if not (directory / name).is_file():
            raise ValueError(f"it names {name[:100]!r}, which is missing")
