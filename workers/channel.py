"""The wire between a worker and its runner: JSON documents, each behind its length, over a socket pair."""

import json
import socket
import struct
import threading
from collections.abc import Mapping
from typing import Any

_HEADER = struct.Struct(">I")
_LIMIT_BYTES = 16 << 20

Message = dict[str, Any]


class ChannelClosed(Exception):
    """The other end is gone."""


class Channel:
    """Sends whole messages from any thread; one thread receives."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, message: Mapping[str, Any]) -> None:
        """Raises ``ChannelClosed``; ``ValueError`` for a message over 16 MiB, which has to travel as a file, and for
        NaN and infinity, which are not JSON."""
        body = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
        if len(body) > _LIMIT_BYTES:
            raise ValueError(f"a message of {len(body)} bytes is too large for the channel")
        with self._sending:
            try:
                self._connection.sendall(_HEADER.pack(len(body)) + body)
            except OSError as exc:
                raise ChannelClosed from exc

    def receive(self) -> Message:
        """The next message. Raises ``ChannelClosed`` at the end of the stream."""
        (length,) = _HEADER.unpack(self._exactly(_HEADER.size))
        if length > _LIMIT_BYTES:
            raise ChannelClosed
        message: Message = json.loads(self._exactly(length))
        return message

    def close(self) -> None:
        self._connection.close()

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
