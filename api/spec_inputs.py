"""The data that a spec names, held against what its submitter has."""

import json
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from sqlalchemy.orm import Session

from api.kept_models import kept_models, shown
from api.problems import FieldError
from db.files import find_file
from db.jobs import artifact_named, find, leaderboard_of
from db.named_models import content_of, find_version
from db.rows import ModelVersionRow
from db.states import State
from tasks.contracts import ArtifactInput, FileInput, Frozen, Input, JobSpec, ModelInput
from tasks.inputs import inputs_of, with_inputs
from tasks.models import HubModel, NamedModel

_Spec = TypeVar("_Spec", bound=JobSpec)


@cache
def _may_have_inputs(spec: type[JobSpec]) -> bool:
    """Whether specs of this class can name any data at all; going through each of them costs more than the rest."""
    schema = json.dumps(spec.model_json_schema())
    return any(f'"{shape.__name__}"' in schema for shape in (FileInput, ArtifactInput, ModelInput))


def has_inputs(spec: JobSpec) -> bool:
    return _may_have_inputs(type(spec)) and any(True for _ in inputs_of(spec))


def file_ids_of(spec: JobSpec) -> list[str]:
    """The uploaded files that the spec reads, each once."""
    if not _may_have_inputs(type(spec)):
        return []
    return list(dict.fromkeys(value.file for _place, value in inputs_of(spec) if isinstance(value, FileInput)))


def pinned(session: Session, spec: _Spec, owner_id: str) -> _Spec:
    """The spec with the version of each named model, and the artifact of each kept one, so that what is named later
    can't change what the job reads; where a model of the hub may be, it takes the place of its name. What is not there
    is left for ``missing_inputs``."""

    def pin(value: Input) -> Frozen:
        if isinstance(value, ModelInput):
            return _pinned_model(session, value, owner_id)
        if isinstance(value, ArtifactInput) and artifact_named(session, value.job, value.artifact) is None:
            name = kept_models(find(session, value.job, owner_id)).get(value.artifact)
            return value if name is None else value.model_copy(update={"artifact": name})
        return value

    return with_inputs(spec, pin) if _may_have_inputs(type(spec)) else spec


def model_version_ids_of(session: Session, spec: JobSpec, owner_id: str) -> list[str]:
    """The versions of named models that a pinned spec reads, each once."""
    if not _may_have_inputs(type(spec)):
        return []
    named = [value for _place, value in inputs_of(spec) if isinstance(value, ModelInput)]
    rows = [_version(session, owner_id, value.model, value.version) for value in named]
    return list(dict.fromkeys(row.id for row in rows if row is not None))


def missing_inputs(session: Session, spec: JobSpec, owner_id: str, after: Sequence[str]) -> list[FieldError]:
    """What the spec names and its owner does not have."""
    errors: list[FieldError] = []
    if not _may_have_inputs(type(spec)):
        return errors
    for place, value in inputs_of(spec):
        if isinstance(value, FileInput):
            complaint = None if find_file(session, value.file, owner_id) else f"There is no file {value.file!r}."
        elif isinstance(value, ModelInput):
            complaint = _model_complaint(session, value, owner_id)
        else:
            complaint = _artifact_complaint(session, value, owner_id, after)
        if complaint is not None:
            errors.append(FieldError(place, complaint, "unknown_input"))
    return errors


def _version(session: Session, owner_id: str, name: str, version: int | None = None) -> ModelVersionRow | None:
    """Looked for once in a session: the jobs of a bulk, while which is written nobody else can write on SQLite, mostly
    name the same model."""
    known: dict[tuple[str, str, int | None], ModelVersionRow | None] = session.info.setdefault("named_models", {})
    wanted = (owner_id, name, version)
    if wanted not in known:
        known[wanted] = find_version(session, owner_id, name, version)
    return known[wanted]


def _pinned_model(session: Session, value: ModelInput, owner_id: str) -> ModelInput | HubModel:
    row = _version(session, owner_id, value.model, value.version)
    if row is None:
        return value
    if isinstance(value, NamedModel) and row.hub is not None and row.revision is not None:
        return HubModel(hub=row.hub, revision=row.revision)
    return value if value.version is not None else value.model_copy(update={"version": row.version})


def _model_complaint(session: Session, value: ModelInput, owner_id: str) -> str | None:
    row = _version(session, owner_id, value.model, value.version)
    if row is not None:
        if content_of(session, row) is None:
            return f"Model {value.model!r} is {row.hub} of the hub, which this kind can't read; name one with a file."
        return None
    newest = _version(session, owner_id, value.model)
    if newest is None:
        return f"There is no model {value.model!r}; give an artifact or a file its name first."
    return f"Model {value.model!r} has no version {value.version}; its newest is {newest.version}."


def _artifact_complaint(session: Session, value: ArtifactInput, owner_id: str, after: Sequence[str]) -> str | None:
    job = find(session, value.job, owner_id)
    if job is None:
        return f"There is no job {value.job!r}."
    if artifact_named(session, value.job, value.artifact) is not None:
        return None
    kept = kept_models(job)
    board = leaderboard_of(session, job.id) if kept else None
    if board is not None and any(entry.model_id == value.artifact for entry in board[1]):
        return (
            f"Job {value.job} did not keep its model {value.artifact!r}; it kept {shown(kept)}. Train with keep_models "
            "to keep more."
        )
    if State(job.state).is_final:
        more = f"; it kept the models {shown(kept)}" if kept else ""
        return f"Job {value.job} is {job.state} and has no artifact {value.artifact!r}{more}."
    if value.job in after:
        return None
    return f"Job {value.job} has no artifact {value.artifact!r} yet; name the job in 'after' to wait for it."
