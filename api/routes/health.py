"""Whether the server lives, and whether it can accept jobs. No key is needed, so nothing else is told."""

from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from api.problems import Problem
from api.services import ServicesOf
from db.schema import is_current

router = APIRouter(tags=["health"])


class HealthView(BaseModel):
    status: Literal["alive"] = "alive"


class ReadinessView(BaseModel):
    """``broker`` is information: jobs are accepted without it and run once it is back."""

    status: Literal["ready"] = "ready"
    database: Literal["ok"] = "ok"
    broker: Literal["ok", "unreachable", "unknown"]


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> HealthView:
    return HealthView()


@router.get("/readyz", summary="Can jobs be submitted?")
def readyz(services: ServicesOf) -> ReadinessView:
    try:
        current = is_current(services.database)
    except SQLAlchemyError as exc:
        detail = "The database can't be reached; jobs can't be accepted until it is back."
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "database_unavailable", detail) from exc
    if not current:
        detail = "The database lacks migrations; run `python -P -m api.setup`."
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "database_not_migrated", detail)
    match services.hinter.broker_answers:
        case True:
            return ReadinessView(broker="ok")
        case False:
            return ReadinessView(broker="unreachable")
        case None:
            return ReadinessView(broker="unknown")
