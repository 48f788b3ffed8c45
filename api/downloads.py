"""Handing out stored files."""

from http import HTTPStatus
from pathlib import Path

from fastapi import Request, Response
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from api.problems import Problem, respond
from db.store import Store


class _Download(FileResponse):
    """A file whose refused ranges are problems like all other errors."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: Problem | None = None

        async def watching(message: dict[str, object]) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                refused = _refused_range(self.size_bytes)
            if refused is None:
                await send(message)

        await super().__call__(scope, receive, watching)  # type: ignore[arg-type]
        if refused is not None:
            await respond(refused)(scope, receive, send)

    def __init__(self, path: Path, *, size_bytes: int, media_type: str, name: str, headers: dict[str, str]) -> None:
        # Always an attachment: an uploaded page must not run as a page of ours.
        super().__init__(path, media_type=media_type, filename=name, headers=headers)
        self.size_bytes = size_bytes


def download(
    request: Request, store: Store, *, key: str, name: str, media_type: str, size_bytes: int, sha256: str
) -> Response:
    """The file, or a range of it, or 304 when the client has it already."""
    etag = f'"{sha256}"'
    headers = {"ETag": etag, "X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    path = store.path(key)
    if not path.is_file():
        detail = "The file is recorded but its content is gone from the store; ask the operator."
        raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "storage_error", detail)
    return _Download(path, size_bytes=size_bytes, media_type=media_type, name=name, headers=headers)


def _refused_range(size_bytes: int) -> Problem:
    detail = f"The file has {size_bytes} bytes; ask for a range inside it, such as 'Range: bytes=0-99'."
    headers = {"Content-Range": f"bytes */{size_bytes}"}
    return Problem(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "range_not_satisfiable", detail, headers=headers)
