"""Receiving a file straight into the store, within the limits of size and disk. A broken upload leaves nothing."""

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api.multipart import FilePart
from api.problems import Problem
from api.settings import ApiSettings
from db.ids import new_id
from db.store import Store, Stored, Upload

_WRITE_BYTES = 1 << 20
# What a multipart body has besides the file: boundaries and headers.
_FRAME_BYTES = 16 * 1024
# A refusal is read only by a client that could finish sending; one that sends more than this is cut off.
_DRAIN_BYTES = 32 << 20


@dataclass(frozen=True)
class Received:
    """A finished upload that no row names yet."""

    key: str
    name: str
    media_type: str
    stored: Stored


async def receive_file(request: Request, store: Store, settings: ApiSettings) -> Received:
    """Raises the problems 400, 413, 415, 422 and 507."""
    try:
        _check_announced(request, store, settings)
        return await _receive(request, store, settings)
    except Problem as problem:
        if not await _drain(request):
            # Otherwise the server would read to the body's end after its answer, however long that is.
            problem.headers = {**(problem.headers or {}), "Connection": "close"}
        raise


async def _receive(request: Request, store: Store, settings: ApiSettings) -> Received:
    part = FilePart(request.headers.get("content-type", ""))
    key = f"files/{new_id()}"
    try:
        async with _writing(store, key) as upload:
            pending: list[bytes] = []
            received_bytes = 0
            async for chunk in request.stream():
                received_bytes += len(chunk)
                if received_bytes > settings.max_upload_bytes + _FRAME_BYTES:
                    # What stands around the file is no way to send without end.
                    raise _too_large(settings)
                pending += part.feed(chunk)
                if sum(map(len, pending)) >= _WRITE_BYTES:
                    await run_in_threadpool(_write, upload, pending, store, settings)
                    pending = []
            await run_in_threadpool(_write, upload, pending, store, settings)
            part.finish()
    except ClientDisconnect as exc:
        raise Problem(
            HTTPStatus.BAD_REQUEST, "upload_broken_off", "The upload broke off; send the file again."
        ) from exc
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise _no_room() from exc
        raise
    return Received(key, part.name, part.media_type, upload.stored)


@asynccontextmanager
async def _writing(store: Store, key: str) -> AsyncIterator[Upload]:
    """``store.writing`` with its opening and its flush to the disk in threads."""
    writing = store.writing(key)
    upload = await run_in_threadpool(writing.__enter__)
    try:
        yield upload
    except BaseException as exc:
        writing.__exit__(type(exc), exc, exc.__traceback__)
        raise
    await run_in_threadpool(writing.__exit__, None, None, None)


def _write(upload: Upload, pieces: list[bytes], store: Store, settings: ApiSettings) -> None:
    for piece in pieces:
        upload.write(piece)
    if upload.stored.size_bytes > settings.max_upload_bytes:
        raise _too_large(settings)
    if store.free_bytes() < settings.min_free_bytes:
        raise _no_room()


def _check_announced(request: Request, store: Store, settings: ApiSettings) -> None:
    """Refuse before the first byte what would be refused in the end."""
    announced = request.headers.get("content-length", "0")
    size_bytes = int(announced) if announced.isdigit() else 0
    if size_bytes > settings.max_upload_bytes + _FRAME_BYTES:
        raise _too_large(settings)
    if store.free_bytes() - size_bytes < settings.min_free_bytes:
        raise _no_room()


async def _drain(request: Request) -> bool:
    """Read the rest of the body away; whether that came to its end."""
    if request.headers.get("expect", "").lower() == "100-continue":
        # This client sends nothing until it is told to; one that was told hears of the refusal as it goes on.
        return False
    drained = 0
    try:
        async for chunk in request.stream():
            drained += len(chunk)
            if drained > _DRAIN_BYTES:
                return False
    except (ClientDisconnect, RuntimeError):
        # The body was read to its end before, or its sender has gone: nothing is left to read.
        return True
    return True


def _too_large(settings: ApiSettings) -> Problem:
    detail = f"A file may have {settings.max_upload_bytes} bytes at most; compress it or split it."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "file_too_large", detail)


def _no_room() -> Problem:
    detail = "The server's disk is nearly full; delete files that are no longer needed, or ask the operator for room."
    return Problem(HTTPStatus.INSUFFICIENT_STORAGE, "disk_full", detail)
