"""Comparing trainings and models."""

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import ValidationError
from sqlalchemy.orm import Session

from api.auth import Holder, visible_owner
from api.compared_trainings import Comparison, Training, compare
from api.named_model_lookup import found_version
from api.problems import FieldError, Problem, invalid, not_found
from api.services import Services, ServicesOf
from db.jobs import find
from db.owners import KeyHolder
from db.rows import JobRow
from db.states import State
from tasks.tabular import TableTraining, TrainingResult

router = APIRouter(prefix="/v1/comparison", tags=["models"])

_MOST = 20
_JOB = re.compile(r"job:([^/]{1,64})")
_MODEL = re.compile(r"model:([^/]{1,100})(?:/([1-9][0-9]{0,8}))?")


@router.get("", summary="Trainings and models side by side")
def get_comparison(
    holder: Holder,
    services: ServicesOf,
    item: Annotated[
        list[str],
        Query(
            min_length=2,
            max_length=_MOST,
            description="`job:ID`, `model:NAME/VERSION`, or `model:NAME` for the newest; repeatable.",
        ),
    ],
) -> Comparison:
    """Metrics on the test rows, and the options that differ. Where they were not tested on the same rows it says so,
    and calls none of them better."""
    with services.database.read() as session:
        return compare(session, [_training(session, services, holder, one) for one in item])


def _training(session: Session, services: Services, holder: KeyHolder, item: str) -> Training:
    if named := _JOB.fullmatch(item):
        return _of_job(session, services, holder, item, named[1])
    if named := _MODEL.fullmatch(item):
        row = found_version(session, holder, named[1], int(named[2]) if named[2] else None)
        if row.job_id is None:
            raise _refused(f"Version {row.version} of {row.name!r} was made by no training of this server.")
        return _of_job(session, services, holder, item, row.job_id, f"{row.name}/{row.version}", row.artifact)
    raise _refused(f"{item[:100]!r} is neither job:ID nor model:NAME/VERSION.")


def _of_job(
    session: Session,
    services: Services,
    holder: KeyHolder,
    item: str,
    job_id: str,
    model: str | None = None,
    artifact: str | None = None,
) -> Training:
    job = find(session, job_id, visible_owner(holder))
    if job is None:
        raise not_found("job", job_id)
    if State(job.state) is not State.SUCCEEDED or job.result is None:
        raise Problem(
            HTTPStatus.CONFLICT,
            "not_comparable",
            f"Job {job.id} is {job.state}; only trainings that succeeded can be compared.",
            state=job.state,
        )
    training = Training(item, job, _spec(services, job), job.result, model, artifact)
    if training.model_id is None:
        raise _refused(f"{model} is {artifact} of job {job.id}, which is none of the models that the job kept.")
    return training


def _spec(services: Services, job: JobRow) -> TableTraining:
    kind = services.kinds.get(job.kind)
    if kind is None or not (issubclass(kind.spec, TableTraining) and issubclass(kind.result, TrainingResult)):
        raise _refused(f"Job {job.id} is a {job.kind}; only trainings on tables can be compared.")
    try:
        return kind.spec.model_validate(job.spec)
    except ValidationError as exc:
        raise _refused(f"The spec of job {job.id} no longer fits its kind; train it anew to compare it.") from exc


def _refused(complaint: str) -> Problem:
    return invalid([FieldError("item", complaint, "not_comparable")])
