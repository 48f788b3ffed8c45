"""What can be said of a named model, and what a response says of one."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag, ValidationError
from sqlalchemy.orm import Session

from api.kept_models import kept_models, shown
from api.problems import FieldError, invalid
from api.submission_bodies import TagName, TagValue, field_errors
from db.files import find_file
from db.jobs import artifact_named, find
from db.named_models import Content, NewVersion
from db.rows import ModelVersionRow
from db.states import State
from tasks.contracts import LONGEST_MODEL_NAME, MODEL_NAME, ArtifactInput, FileInput
from tasks.models import HubModel

_SOURCES = 'Give {"file": id}, {"job": id, "artifact": name}, or {"hub": "org/name", "revision": commit or branch}.'


def _shape(source: object) -> str | None:
    """By which of its fields a source is told apart, so that what is wrong is said of one shape only."""
    if isinstance(source, BaseModel):
        return next((name for name in _SHAPES if name in type(source).model_fields), None)
    return next((name for name in _SHAPES if isinstance(source, dict) and name in source), None)


_SHAPES = ("file", "job", "hub")
_Source = Annotated[
    Annotated[FileInput, Tag("file")] | Annotated[ArtifactInput, Tag("job")] | Annotated[HubModel, Tag("hub")],
    Discriminator(_shape),
]


class NewModelBody(BaseModel):
    """A name, and what it is to stand for from now on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        pattern=MODEL_NAME,
        max_length=LONGEST_MODEL_NAME,
        description="Letters, digits, `.`, `_` and `-`. A name that you have gets a further version.",
    )
    source: _Source
    description: str = Field(default="", max_length=10_000)
    tags: dict[TagName, TagValue] = Field(default={}, max_length=32, description="Your own labels.")

    @classmethod
    def validated(cls, raw: JsonValue) -> Self:
        """Raises the 422 problem that names each field that is wrong."""
        try:
            return cls.model_validate(raw)
        except ValidationError as exc:
            raise invalid([_plain(error) for error in field_errors(exc)]) from exc


class ModelVersionView(BaseModel):
    """One version of a named model; a spec names it as ``{"model": name, "version": version}``, or without the version
    the newest. ``size_bytes`` and ``sha256`` are null for a model of the hub, which lies elsewhere."""

    name: str
    version: int
    source: dict[str, str]
    description: str
    tags: dict[str, str]
    media_type: str | None
    size_bytes: int | None
    sha256: str | None
    created_at: datetime


class ModelPage(BaseModel):
    """The newest version of each name, the one that was added last first; ``next_cursor`` continues, null at the
    end."""

    models: list[ModelVersionView]
    next_cursor: str | None


class ModelVersionList(BaseModel):
    versions: list[ModelVersionView]


def new_version(session: Session, body: NewModelBody, owner_id: str) -> NewVersion:
    """Raises the 422 problem where the owner has no such file or artifact, or where the artifact may still change."""
    source = body.source
    said = {"owner_id": owner_id, "name": body.name, "description": body.description}
    if isinstance(source, HubModel):
        return NewVersion(**said, hub=source.hub, revision=source.revision, tags=body.tags)
    if isinstance(source, FileInput):
        if find_file(session, source.file, owner_id) is None:
            raise unusable(f"There is no file {source.file!r}.")
        return NewVersion(**said, file_id=source.file, tags=body.tags)
    artifact = _artifact_of(session, source, owner_id)
    return NewVersion(**said, job_id=source.job, artifact=artifact, tags=body.tags)


def model_version_view(row: ModelVersionRow, content: Content | None) -> ModelVersionView:
    return ModelVersionView(
        name=row.name,
        version=row.version,
        source=_source(row),
        description=row.description,
        tags=row.tags,
        media_type=None if content is None else content.media_type,
        size_bytes=None if content is None else content.size_bytes,
        sha256=None if content is None else content.sha256,
        created_at=row.created_at,
    )


def unusable(complaint: str) -> Exception:
    """The 422 problem of a source."""
    return invalid([FieldError("source", complaint, "unknown_input")])


def _artifact_of(session: Session, source: ArtifactInput, owner_id: str) -> str:
    """The artifact's name, where the id of a kept model may stand for it."""
    job = find(session, source.job, owner_id)
    if job is None:
        raise unusable(f"There is no job {source.job!r}.")
    if not State(job.state).is_final:
        raise unusable(f"Job {job.id} is {job.state}; give a name to what it makes once it has ended.")
    kept = kept_models(job)
    for name in (source.artifact, kept.get(source.artifact, "")):
        if artifact_named(session, job.id, name) is not None:
            return name
    more = f"; it kept the models {shown(kept)}" if kept else ""
    raise unusable(f"Job {job.id} has no artifact {source.artifact!r}{more}.")


def _source(row: ModelVersionRow) -> dict[str, str]:
    said = {"file": row.file_id, "job": row.job_id, "artifact": row.artifact, "hub": row.hub, "revision": row.revision}
    return {name: value for name, value in said.items() if value is not None}


def _plain(error: FieldError) -> FieldError:
    """Without the name of the shape that a source has, which is no field."""
    if error.field == "source":
        return FieldError("source", _SOURCES, "not_a_source")
    first, *rest = error.field.split(".")
    if first != "source":
        return error
    return FieldError(".".join(["source", *rest[1:]]), error.message, error.code)
