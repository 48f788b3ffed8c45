"""Who a request comes from."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from api.problems import Problem
from api.services import Services, ServicesOf
from db.owners import KeyHolder


@dataclass(frozen=True)
class Submitter:
    """The holder of a key that may have been revoked a moment ago."""

    holder: KeyHolder
    secret: str = field(repr=False)


bearer = HTTPBearer(
    auto_error=False, description="An API key. `turnout up` writes the first one to its home directory."
)


Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


def require_holder(services: ServicesOf, credentials: Credentials) -> KeyHolder:
    """The holder of the request's key; raises the 401 problem."""
    return services.known_keys.look_up(services.database, _secret(credentials))


async def require_submitter(services: Services, credentials: HTTPAuthorizationCredentials | None) -> Submitter:
    """The same for a submission, which looks again when it is written; raises the 401 problem."""
    secret = _secret(credentials)
    holder = services.known_keys.remembered(secret)
    if holder is None:
        holder = await run_in_threadpool(services.known_keys.look_up, services.database, secret)
    return Submitter(holder, secret)


def _secret(credentials: HTTPAuthorizationCredentials | None) -> str:
    if credentials is None:
        detail = "This call needs an API key in the header 'Authorization: Bearer KEY'."
        raise Problem(HTTPStatus.UNAUTHORIZED, "key_missing", detail, headers={"WWW-Authenticate": "Bearer"})
    return credentials.credentials


Holder = Annotated[KeyHolder, Depends(require_holder)]


def visible_owner(holder: KeyHolder) -> str | None:
    """Whose rows the holder may see; None: everyone's."""
    return None if holder.admin else holder.owner_id
