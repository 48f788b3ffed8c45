"""Reading JSON bodies: bounded in size, and only what every database and reader of JSON can hold."""

from http import HTTPStatus

from fastapi import Request
from pydantic import JsonValue
from pydantic_core import from_json

from api.problems import Problem


async def read_json(request: Request, *, max_bytes: int) -> JsonValue:
    """The parsed body. Raises the problem 413 (too large), 415 (not JSON) or 400 (broken)."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        detail = "Send the body as JSON, with the header 'Content-Type: application/json'."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", detail)
    body = await _read(request, max_bytes)
    try:
        value: JsonValue = from_json(body, allow_inf_nan=False)
    except ValueError as exc:
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed_json", f"The body is not JSON: {exc}.") from exc
    # PostgreSQL can't keep the character NUL; the cheap look at the bytes spares the walk through almost every body.
    if b"\\u0000" in body and _has_nul(value):
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed_json", "Text may not contain the character NUL (\\u0000).")
    return value


async def _read(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            detail = f"The body may have {max_bytes} bytes at most; upload data as a file and name it in the spec."
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", detail)
    return bytes(body)


def _has_nul(value: JsonValue) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, list):
        return any(map(_has_nul, value))
    if isinstance(value, dict):
        return any("\0" in key or _has_nul(item) for key, item in value.items())
    return False
