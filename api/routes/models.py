"""Names for models."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from api.auth import Holder, visible_owner
from api.downloads import download
from api.json_bodies import read_json
from api.named_model_lookup import found_version
from api.named_models import (
    ModelPage,
    ModelVersionList,
    ModelVersionView,
    NewModelBody,
    model_version_view,
    new_version,
    unusable,
)
from api.problems import Problem
from api.services import Services, ServicesOf
from db.named_models import (
    ModelInUse,
    SourceGone,
    add_version,
    content_of,
    delete_versions,
    list_models,
    versions_of,
)
from db.owners import KeyHolder
from db.rows import ModelVersionRow

router = APIRouter(prefix="/v1/models", tags=["models"])

_LARGEST_VERSION = 2**31 - 1
_MOST_BYTES = 256 * 1024
_Version = Annotated[int, Path(ge=1, le=_LARGEST_VERSION)]
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewModel"}}},
    }
}


@router.post("", status_code=201, summary="Give a model a name", openapi_extra=_BODY)
async def post_model(holder: Holder, services: ServicesOf, request: Request, response: Response) -> ModelVersionView:
    """Under a name that is there already it becomes the next version, which the name stands for from now on. A file or
    job that a version stands for stays as long as the version."""
    body = await read_json(request, max_bytes=_MOST_BYTES, make=NewModelBody.validated)
    view = await run_in_threadpool(_add, services, holder, body)
    response.headers["Location"] = f"/v1/models/{view.name}/versions/{view.version}"
    return view


@router.get("", summary="Models, newest first")
def get_models(
    holder: Holder,
    services: ServicesOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
) -> ModelPage:
    """Of each name the newest version, the one that was added last first."""
    with services.database.read() as session:
        rows = list_models(session, visible_owner(holder), limit + 1, cursor)
        views = [_view(session, row) for row in rows[:limit]]
    return ModelPage(models=views, next_cursor=rows[limit - 1].id if len(rows) > limit else None)


@router.get("/{name}", summary="A name's newest version")
def get_model(holder: Holder, services: ServicesOf, name: str) -> ModelVersionView:
    with services.database.read() as session:
        return _view(session, found_version(session, holder, name))


@router.delete("/{name}", status_code=204, summary="Delete a name with all its versions")
def remove_model(holder: Holder, services: ServicesOf, name: str) -> None:
    """Refused while a job that is not final reads one of them. What they stand for is left alone."""
    with services.database.write() as session:
        owner_id = found_version(session, holder, name).owner_id
        _delete(session, versions_of(session, owner_id, name))


@router.get("/{name}/versions", summary="All versions of a name, newest first")
def get_versions(holder: Holder, services: ServicesOf, name: str) -> ModelVersionList:
    with services.database.read() as session:
        owner_id = found_version(session, holder, name).owner_id
        return ModelVersionList(versions=[_view(session, row) for row in versions_of(session, owner_id, name)])


@router.get("/{name}/versions/{version}", summary="One version")
def get_version(holder: Holder, services: ServicesOf, name: str, version: _Version) -> ModelVersionView:
    with services.database.read() as session:
        return _view(session, found_version(session, holder, name, version))


@router.delete("/{name}/versions/{version}", status_code=204, summary="Delete one version")
def remove_version(holder: Holder, services: ServicesOf, name: str, version: _Version) -> None:
    """Refused while a job that is not final reads it. Its number is not given again."""
    with services.database.write() as session:
        _delete(session, [found_version(session, holder, name, version)])


@router.get(
    "/{name}/versions/{version}/content",
    summary="A version's file",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}, 206: {"description": "The range asked for."}},
)
def get_content(holder: Holder, services: ServicesOf, request: Request, name: str, version: _Version) -> Response:
    """409 for a model of the hub, which lies elsewhere."""
    with services.database.read() as session:
        row = found_version(session, holder, name, version)
        content = content_of(session, row)
    if content is None:
        detail = f"Version {version} of {name!r} is {row.hub} of the hub, at {row.revision}; get it from there."
        raise Problem(HTTPStatus.CONFLICT, "not_stored", detail)
    return download(request, services.store, **vars(content))


def _add(services: Services, holder: KeyHolder, body: NewModelBody) -> ModelVersionView:
    try:
        with services.database.write() as session:
            row = add_version(session, new_version(session, body, holder.owner_id))
            return _view(session, row)
    except SourceGone as exc:
        raise unusable(f"{exc.args[0]} was deleted in this moment.") from exc


def _view(session: Session, row: ModelVersionRow) -> ModelVersionView:
    return model_version_view(row, content_of(session, row))


def _delete(session: Session, rows: Sequence[ModelVersionRow]) -> None:
    try:
        delete_versions(session, rows)
    except ModelInUse as exc:
        job_id, version = exc.args
        detail = f"Job {job_id} still reads version {version}; delete it when the job is final, or cancel the job."
        raise Problem(HTTPStatus.CONFLICT, "model_in_use", detail) from exc
