"""The data that a spec names, held against what its submitter has."""

import json
from collections.abc import Sequence
from functools import cache

from sqlalchemy.orm import Session

from api.problems import FieldError
from db.files import find_file
from db.jobs import artifact_named, find
from db.states import State
from tasks.contracts import ArtifactInput, FileInput, JobSpec
from tasks.inputs import inputs_of


@cache
def _may_have_inputs(spec: type[JobSpec]) -> bool:
    """Whether specs of this class can name any data at all; going through each of them costs more than the rest."""
    schema = json.dumps(spec.model_json_schema())
    return any(f'"{shape.__name__}"' in schema for shape in (FileInput, ArtifactInput))


def has_inputs(spec: JobSpec) -> bool:
    return _may_have_inputs(type(spec)) and any(True for _ in inputs_of(spec))


def file_ids_of(spec: JobSpec) -> list[str]:
    """The uploaded files that the spec reads, each once."""
    if not _may_have_inputs(type(spec)):
        return []
    return list(dict.fromkeys(value.file for _place, value in inputs_of(spec) if isinstance(value, FileInput)))


def missing_inputs(session: Session, spec: JobSpec, owner_id: str, after: Sequence[str]) -> list[FieldError]:
    """What the spec names and its owner does not have."""
    errors: list[FieldError] = []
    if not _may_have_inputs(type(spec)):
        return errors
    for place, value in inputs_of(spec):
        if isinstance(value, FileInput):
            complaint = None if find_file(session, value.file, owner_id) else f"There is no file {value.file!r}."
        else:
            complaint = _artifact_complaint(session, value, owner_id, after)
        if complaint is not None:
            errors.append(FieldError(place, complaint, "unknown_input"))
    return errors


def _artifact_complaint(session: Session, value: ArtifactInput, owner_id: str, after: Sequence[str]) -> str | None:
    job = find(session, value.job, owner_id)
    if job is None:
        return f"There is no job {value.job!r}."
    if artifact_named(session, value.job, value.artifact) is not None:
        return None
    if State(job.state).is_final:
        return f"Job {value.job} is {job.state} and has no artifact {value.artifact!r}."
    if value.job in after:
        return None
    return f"Job {value.job} has no artifact {value.artifact!r} yet; name the job in 'after' to wait for it."
