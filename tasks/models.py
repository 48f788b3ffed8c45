"""Which model a job uses: a short text, or a document that says the same in full.

The text alone decides what it names, so that it names the same on every worker:

===================  ==========================================================================
``org/name``         a model on the hub, at the commit that ``main`` is at
``org/name@REV``     the same at a branch, tag or commit
``hub:name[@REV]``   one of the hub's few ids without an organisation
``name``             a directory under ``TURNOUT_MODELS`` (also ``dir:name``)
``file:ID``          an uploaded file: an archive of such a directory, or a model in one file
``job:ID/NAME``      an artifact of another job
``model:NAME[/V]``   what the job's owner gave that name to; its newest version unless one is said
===================  ==========================================================================

Neither paths nor URLs are taken. What a name leads to, and whether it may be loaded, is found out by the worker.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from tasks.contracts import ArtifactInput, FileInput, Frozen, ModelInput

HOW_TO_NAME = (
    'Name a model as "org/name" or "org/name@revision" on the hub, "name" for a directory under TURNOUT_MODELS, '
    '"model:name" for one that you gave a name, {"file": id} or {"job": id, "artifact": name}; paths and URLs are not '
    "taken."
)
_SEGMENT = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_HUB_ID = re.compile(rf"(?:{_SEGMENT}/)?{_SEGMENT}")
_REVISION = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_./-]{0,253}[A-Za-z0-9_-])?")
_DIRECTORY = re.compile(_SEGMENT)
_MODEL_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_. -]{0,200}(?:/[A-Za-z0-9_-][A-Za-z0-9_. -]{0,200}){0,3}")


def _hub_id(text: str) -> str:
    if not _HUB_ID.fullmatch(text) or ".." in text or "--" in text or text.endswith(".git"):
        raise ValueError(f"{text[:100]!r} is no id of a model on the hub. {HOW_TO_NAME}")
    return text


def _revision(text: str) -> str:
    if not _REVISION.fullmatch(text) or ".." in text or "//" in text or text.endswith(".lock"):
        raise ValueError(f"{text[:100]!r} is no revision; give a branch, a tag, or a commit of 40 hexadecimal digits.")
    return text


def _directory(text: str) -> str:
    if not _DIRECTORY.fullmatch(text) or ".." in text:
        raise ValueError(f"{text[:100]!r} is no name of a directory under TURNOUT_MODELS. {HOW_TO_NAME}")
    return text


def _model_file(text: str) -> str:
    if not _MODEL_FILE.fullmatch(text) or ".." in text:
        raise ValueError(f"{text[:100]!r} is no name of a file inside a model; give one such as onnx/model.onnx.")
    return text


class HubModel(Frozen):
    """A model on the hub. A moving revision is resolved to a commit when the job runs, and the job tells which."""

    hub: Annotated[str, AfterValidator(_hub_id)] = Field(description="Its id, such as org/name.", max_length=200)
    revision: Annotated[str, AfterValidator(_revision)] = Field(
        default="main", description="A branch, a tag, or a commit of 40 hexadecimal digits."
    )


class DirectoryModel(Frozen):
    """A model that the operator of the workers has put into a directory."""

    directory: Annotated[str, AfterValidator(_directory)] = Field(
        description="Name of a directory under TURNOUT_MODELS.", max_length=100
    )


class NamedModel(ModelInput):
    """A named model, where one of the hub may be meant too: that one takes its place when the job is submitted."""


def _from_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    sort, colon, rest = value.partition(":")
    if not colon:
        return _hub_document(value) if "/" in value or "@" in value else {"directory": value}
    match sort:
        case "hub":
            return _hub_document(rest)
        case "dir":
            return {"directory": rest}
        case "file" if "/" not in rest:
            return {"file": rest}
        case "job" if "/" in rest:
            job, _slash, artifact = rest.partition("/")
            return {"job": job, "artifact": artifact}
        case "model":
            name, slash, version = rest.partition("/")
            if not slash:
                return {"model": name}
            if version.isascii() and version.isdecimal():
                return {"model": name, "version": int(version)}
    raise ValueError(f"{value[:100]!r} names no model. {HOW_TO_NAME}")


def _hub_document(text: str) -> dict[str, str]:
    name, at, revision = text.partition("@")
    return {"hub": name, "revision": revision} if at else {"hub": name}


def _sort(value: object) -> str | None:
    """Which of the shapes a document is meant to be, by the field that only that one has."""
    for shape, field in _FIELDS:
        if isinstance(value, shape) or (isinstance(value, dict) and field in value):
            return field
    return None


_FIELDS: tuple[tuple[type[Frozen], str], ...] = (
    (HubModel, "hub"),
    (DirectoryModel, "directory"),
    (FileInput, "file"),
    (ArtifactInput, "job"),
    (NamedModel, "model"),
)
_Document = Annotated[
    Annotated[HubModel, Tag("hub")]
    | Annotated[DirectoryModel, Tag("directory")]
    | Annotated[FileInput, Tag("file")]
    | Annotated[ArtifactInput, Tag("job")]
    | Annotated[NamedModel, Tag("model")],
    Discriminator(_sort, custom_error_type="not_a_model", custom_error_message=HOW_TO_NAME),
]
ModelRef = Annotated[
    _Document,
    BeforeValidator(
        _from_text, json_schema_input_type=str | HubModel | DirectoryModel | FileInput | ArtifactInput | NamedModel
    ),
    Field(description=HOW_TO_NAME),
]
ModelFileName = Annotated[str, AfterValidator(_model_file)]
