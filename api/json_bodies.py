"""Reading JSON bodies: bounded in size, and only what every database and reader of JSON can hold."""

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from fastapi import Request
from pydantic import JsonValue
from pydantic_core import from_json
from starlette.concurrency import run_in_threadpool

from api.problems import Problem

# Well above what ten thousand sensible jobs have, and parsed within a tenth of a second.
_MOST_VALUES = 1_000_000
# Outside of strings JSON has no backslash; an even number of them before it makes this one no escape.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
# What a number must contain to be larger than any float: an exponent of three digits, or that many digits.
_HUGE = re.compile(rb"[0-9][eE]\+?[0-9]{3}|[0-9]{309}")


# Up to here a thread costs more than the work.
_AT_ONCE_BYTES = 16 * 1024
_T = TypeVar("_T")


async def read_json(request: Request, *, max_bytes: int, make: Callable[[JsonValue], _T]) -> _T:
    """What ``make`` makes of the parsed body, in a thread if there is much of it. Raises the problem 413 (too large),
    415 (not JSON) or 400 (broken)."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        detail = "Send the body as JSON, with the header 'Content-Type: application/json'."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", detail)
    body = await _read(request, max_bytes)
    if len(body) <= _AT_ONCE_BYTES:
        return make(_parse(body))
    return await run_in_threadpool(lambda: make(_parse(body)))


def _parse(body: bytes) -> JsonValue:
    """What is refused is refused by its bytes: once parsed, many small values would fill the memory."""
    # Each value but the outermost follows a comma or an opening bracket.
    if sum(map(body.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        detail = (
            "The body has too many values; send fewer jobs at once, or upload data as a file and name it in the spec."
        )
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", detail)
    # PostgreSQL can't keep the character NUL.
    if b"\\u0000" in body and _NUL.search(body):
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed_json", "Text may not contain the character NUL (\\u0000).")
    try:
        value: JsonValue = from_json(body, allow_inf_nan=False)
    except ValueError as exc:
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed_json", f"The body is not JSON: {exc}.") from exc
    if _HUGE.search(body) and not _is_finite(value):
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed_json", "A number is too large: no float can hold it.")
    return value


def _is_finite(value: JsonValue) -> bool:
    """A number beyond the largest float is read as infinity, which is no JSON."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


async def _read(request: Request, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        chunks.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            detail = f"The body may have {max_bytes} bytes at most; upload data as a file and name it in the spec."
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", detail)
    return b"".join(chunks)
