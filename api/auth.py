"""Who a request comes from."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import Problem
from api.services import ServicesOf
from db.owners import KeyHolder, holder_of

bearer = HTTPBearer(
    auto_error=False, description="An API key. `turnout up` writes the first one to its home directory."
)


def require_holder(
    services: ServicesOf, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> KeyHolder:
    """The holder of the request's key; raises the 401 problem."""
    if credentials is None:
        detail = "This call needs an API key in the header 'Authorization: Bearer KEY'."
        raise Problem(HTTPStatus.UNAUTHORIZED, "key_missing", detail, headers={"WWW-Authenticate": "Bearer"})
    with services.database.read() as session:
        holder = holder_of(session, credentials.credentials)
    if holder is None:
        detail = "This API key is not known or was revoked; use another one."
        headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise Problem(HTTPStatus.UNAUTHORIZED, "key_unknown", detail, headers=headers)
    return holder


Holder = Annotated[KeyHolder, Depends(require_holder)]


def visible_owner(holder: KeyHolder) -> str | None:
    """Whose rows the holder may see; None: everyone's."""
    return None if holder.admin else holder.owner_id
