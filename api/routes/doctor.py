"""What is wrong with the server. For admins: it tells about everybody's work and about the machines."""

import hashlib
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from api.auth import bearer, require_holder
from api.doctor.examination import examine
from api.doctor.findings import Finding
from api.doctor.time_limit import Asker, TimedOut
from api.problems import Problem
from api.services import Services, ServicesOf
from db.clock import read_now
from db.owners import KeyHolder

_LIMIT_SECONDS = 3.0


class Examination(BaseModel):
    """Everything that was looked at, by the API's clock at ``examined_at``."""

    examined_at: datetime
    findings: list[Finding]


def doctor_router() -> APIRouter:
    """Its questions outlive requests, so that each app has an asker of its own."""
    router = APIRouter(prefix="/v1", tags=["health"])
    asker = Asker(_LIMIT_SECONDS)

    @router.get("/doctor", summary="What is wrong with the server, and what to do; for admins")
    async def doctor(
        services: ServicesOf, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
    ) -> Examination:
        """Answers within a few seconds, also while the broker or the database is frozen (503 for the latter, since
        then nobody's key can be checked)."""
        holder = await _holder(asker, services, credentials)
        if not holder.admin:
            raise Problem(HTTPStatus.FORBIDDEN, "admin_needed", "Only an admin's key may ask what the server lacks.")
        return Examination(examined_at=datetime.now(UTC), findings=await examine(services, asker))

    return router


async def _holder(asker: Asker, services: Services, credentials: HTTPAuthorizationCredentials | None) -> KeyHolder:
    """Who asks. The database is first asked something that is the same for all: else each key that somebody makes up
    could hold a thread while it is frozen."""
    secret = "" if credentials is None else hashlib.sha256(credentials.credentials.encode()).hexdigest()
    try:
        await asker.ask("database_answers", lambda: _read_now(services))
        return await asker.ask(f"holder of {secret}", lambda: require_holder(services, credentials))
    except (TimedOut, SQLAlchemyError) as exc:
        detail = (
            f"The database does not answer ({type(exc).__name__}), so that nothing can be accepted or looked up: start "
            "it or wake it up; if it is new, run `python -P -m api.setup`."
        )
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "database_unavailable", detail) from exc


def _read_now(services: Services) -> datetime:
    with services.database.read() as session:
        return read_now(session)
