"""Finding a named model for the holder of a key."""

from http import HTTPStatus

from sqlalchemy.orm import Session

from api.problems import Problem, not_found
from db.named_models import find_version, owners_of
from db.owners import KeyHolder
from db.rows import ModelVersionRow


def found_version(session: Session, holder: KeyHolder, name: str, version: int | None = None) -> ModelVersionRow:
    """The holder's own, else what an admin may see; the newest if no version is said. Raises the problems 404, and 409
    where several owners have the name."""
    row = find_version(session, holder.owner_id, name, version)
    if row is None and holder.admin:
        others = owners_of(session, name)
        if len(others) > 1:
            detail = f"Several owners have a model {name!r}; ask with a key of the one that is meant."
            raise Problem(HTTPStatus.CONFLICT, "ambiguous_name", detail)
        row = find_version(session, others[0], name, version) if others else None
    if row is None:
        raise not_found("model", name if version is None else f"{name}/{version}")
    return row
