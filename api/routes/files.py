"""Uploaded files."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from api.auth import Holder, visible_owner
from api.downloads import download
from api.problems import Problem, not_found
from api.services import Services, ServicesOf
from api.table_looks import table_of
from api.uploads import Received, receive_file
from db.files import FileInUse, FileNamed, add_file, delete_file, find_file, list_files
from db.owners import KeyHolder
from db.rows import FileRow
from tasks.tables.schema import TableSchema

router = APIRouter(prefix="/v1/files", tags=["files"])

_FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


class FileView(BaseModel):
    """An uploaded file; a spec names it as ``{"file": id}``."""

    id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: datetime


class FileDetail(FileView):
    """An uploaded file, and what training would see in it."""

    table: TableSchema | None = Field(
        description="Columns and types, before anything is trained on them; null for what is no CSV or Parquet file."
    )


class FilePage(BaseModel):
    """Some files, newest first; ``next_cursor`` continues, null at the end."""

    files: list[FileView]
    next_cursor: str | None


@router.post("", status_code=201, summary="Upload a file", openapi_extra=_FILE_BODY)
async def post_file(holder: Holder, services: ServicesOf, request: Request, response: Response) -> FileView:
    """One file in the field `file`: CSV, Parquet, JSONL, text, pictures, sound, models."""
    received = await receive_file(request, services.store, services.settings)
    view = await run_in_threadpool(_record, services, holder, received)
    response.headers["Location"] = f"/v1/files/{view.id}"
    return view


@router.get("", summary="Files, newest first")
def get_files(
    holder: Holder,
    services: ServicesOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
) -> FilePage:
    with services.database.read() as session:
        rows = list_files(session, visible_owner(holder), limit + 1, cursor)
    views = [_view(row) for row in rows[:limit]]
    return FilePage(files=views, next_cursor=views[-1].id if len(rows) > limit else None)


@router.get("/{file_id}", summary="One file, with its columns")
async def get_file(holder: Holder, services: ServicesOf, file_id: str) -> FileDetail:
    """A table is looked at when it is asked for the first time, which takes a second or two."""
    row = await run_in_threadpool(_find, services, holder, file_id)
    table = await table_of(services, row)
    return FileDetail(**vars(_view(row)), table=table)


@router.get(
    "/{file_id}/content",
    summary="A file's content",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}, 206: {"description": "The range asked for."}},
)
def get_content(holder: Holder, services: ServicesOf, request: Request, file_id: str) -> Response:
    row = _find(services, holder, file_id)
    return download(
        request,
        services.store,
        key=row.key,
        name=row.name,
        media_type=row.media_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
    )


@router.delete("/{file_id}", status_code=204, summary="Delete a file")
def remove_file(holder: Holder, services: ServicesOf, file_id: str) -> None:
    """Refused while a job that is not final reads it, or a named model stands for it."""
    with services.database.write() as session:
        row = find_file(session, file_id, visible_owner(holder))
        if row is None:
            raise not_found("file", file_id)
        try:
            key = delete_file(session, row)
        except FileInUse as exc:
            detail = f"Job {exc.args[0]} still reads this file; delete it when the job is final, or cancel the job."
            raise Problem(HTTPStatus.CONFLICT, "file_in_use", detail) from exc
        except FileNamed as exc:
            name, version = exc.args
            detail = f"Version {version} of the model {name!r} stands for this file; delete that version first."
            raise Problem(HTTPStatus.CONFLICT, "file_in_use", detail) from exc
    services.store.delete(key)


def _record(services: Services, holder: KeyHolder, received: Received) -> FileView:
    with services.database.write() as session:
        row = add_file(
            session,
            owner_id=holder.owner_id,
            name=received.name,
            media_type=received.media_type,
            key=received.key,
            stored=received.stored,
        )
        return _view(row)


def _find(services: Services, holder: KeyHolder, file_id: str) -> FileRow:
    with services.database.read() as session:
        row = find_file(session, file_id, visible_owner(holder))
    if row is None:
        raise not_found("file", file_id)
    return row


def _view(row: FileRow) -> FileView:
    return FileView(
        id=row.id,
        name=row.name,
        media_type=row.media_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        created_at=row.created_at,
    )
