"""The wire between a worker and its runner: JSON documents, each behind its length, over a socket pair."""

import json
import re
import select
import socket
import struct
import threading
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json, to_json

_HEADER = struct.Struct(">I")
_LIMIT_BYTES = 16 << 20
_SEND_SECONDS = 10
# As JSON writes them: a NUL, which PostgreSQL does not keep, and halves of characters, which nothing can encode.
_UNSTORABLE = re.compile(rb"\\u(0000|d[89a-f][0-9a-f]{2})", re.IGNORECASE)
# They may stand in a text, too.
_NO_NUMBERS = (b"NaN", b"Infinity")

Message = dict[str, Any]


class ChannelClosed(Exception):
    """The other end is gone, does not read, or sends what is no message."""


class Channel:
    """Sends whole messages from any thread; one thread receives."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        # Only for sending: a receiver may wait as long as it likes.
        limit = struct.pack("ll", _SEND_SECONDS, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def send(self, message: Mapping[str, Any]) -> None:
        """The message is JSON; what is none is sent as Pydantic writes it.

        Raises ``ChannelClosed`` if the other end is gone or has not read for ten seconds.

        Raises ``ValueError`` for a message over 16 MiB, which has to travel as a file, and for NaN and infinity, which
        are not JSON.
        """
        frame = _framed(message)
        with self._sending:
            self._send_all(frame)

    def offer(self, message: Mapping[str, Any]) -> None:
        """Send a message that a later one replaces, unless it can't be sent at once. Raises ``ChannelClosed``."""
        frame = _framed(message)
        if not self._sending.acquire(blocking=False):
            return
        try:
            if select.select([], [self._connection], [], 0)[1]:
                self._send_all(frame)
        except ValueError:
            # The descriptor is closed already.
            raise ChannelClosed from None
        finally:
            self._sending.release()

    def receive(self) -> Message:
        """The next message, its text cleaned of what can't be stored. Raises ``ChannelClosed``."""
        (length,) = _HEADER.unpack(self._exactly(_HEADER.size))
        if length > _LIMIT_BYTES:
            raise ChannelClosed
        body = self._exactly(length)
        try:
            message = parsed(body)
        except ValueError as exc:
            raise ChannelClosed from exc
        if not isinstance(message, dict):
            raise ChannelClosed
        return _storable(message) if _UNSTORABLE.search(body) else message

    def shut(self) -> None:
        """End both directions; what has arrived can still be received."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        self._connection.close()

    def _send_all(self, frame: bytes) -> None:
        try:
            self._connection.sendall(frame)
        except OSError as exc:
            raise ChannelClosed from exc

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            try:
                part = self._connection.recv(count - len(parts))
            except OSError as exc:
                raise ChannelClosed from exc
            if not part:
                raise ChannelClosed
            parts += part
        return bytes(parts)


def parsed(text: str | bytes) -> Any:
    """What a JSON text says. Raises ``ValueError``."""
    try:
        return from_json(text)
    except ValueError:
        # It may have halves of characters, or be nested very deeply.
        return json.loads(text)


def _framed(message: Mapping[str, Any]) -> bytes:
    body = _written(message)
    if len(body) > _LIMIT_BYTES:
        raise ValueError(f"a message of {len(body)} bytes is too large for the channel")
    return _HEADER.pack(len(body)) + body


def _written(message: Mapping[str, Any]) -> bytes:
    """Python's own module takes ten times as long for long lists of numbers, but it knows more."""
    try:
        body = to_json(message, inf_nan_mode="constants")
        if not any(name in body for name in _NO_NUMBERS):
            return body
    except ValueError:
        # What is wrong, if anything is, is said below.
        pass
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode()


def _storable(value: Any) -> Any:
    """The same with every character that can't be stored as U+FFFD, the replacement character."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value
