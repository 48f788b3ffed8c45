"""A server between the client and the real one, which misbehaves as told."""

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Pass:
    """Hand the answer on."""


@dataclass(frozen=True)
class Lose:
    """Let the real server do it, and drop the connection in the place of its answer."""


@dataclass(frozen=True)
class Break:
    """Drop the connection after so many bytes of the request's body, which never reaches the real server."""

    after_bytes: int = 0


@dataclass(frozen=True)
class Say:
    """Answer without asking the real server."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Cut:
    """Drop the connection when so many bytes of the answer's body were handed on."""

    after_bytes: int


@dataclass(frozen=True)
class Spoil:
    """Hand on the answer with its first byte changed."""


@dataclass(frozen=True)
class Hang:
    """Fall silent when so many bytes of the answer's body were handed on, until the client hangs up."""

    after_bytes: int


Fault = Pass | Lose | Break | Say | Cut | Spoil | Hang


@dataclass(frozen=True)
class Seen:
    """A request, as it came."""

    method: str
    path: str
    headers: Mapping[str, str]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Many clients may knock at once.
    request_queue_size = 256


class Misbehaving:
    """``faults`` are for the next requests, one for each; after them everything passes."""

    def __init__(self, port: int) -> None:
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.hanging = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self, port))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def next_fault(self, seen: Seen) -> Fault:
        with self._lock:
            self.seen.append(seen)
            return self.faults.pop(0) if self.faults else Pass()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(proxy: Misbehaving, port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            fault = proxy.next_fault(Seen(self.command, self.path, dict(self.headers)))
            length = int(self.headers.get("Content-Length", 0))
            if isinstance(fault, Break):
                self.rfile.read(min(length, fault.after_bytes))
                self._drop()
                return
            body = self.rfile.read(length)
            if isinstance(fault, Say):
                self._say(fault)
                return
            real = http.client.HTTPConnection("127.0.0.1", port)
            try:
                real.request(self.command, self.path, body, {**self.headers, "Connection": "close"})
                answer = real.getresponse()
                if isinstance(fault, Lose):
                    # A stream has no end to wait for.
                    answer.read(answer.length or 0)
                    self._drop()
                else:
                    self._hand_on(answer, fault)
            except ConnectionError:
                # The client has gone, or was dropped on purpose.
                self.close_connection = True
            finally:
                real.close()

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - names that the library calls

        def _hand_on(self, answer: http.client.HTTPResponse, fault: Fault) -> None:
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("date", "server", "transfer-encoding"):
                    self.send_header(name, value)
            self.end_headers()
            left = fault.after_bytes if isinstance(fault, Cut | Hang) else None
            for piece in _pieces(answer.read1):
                if isinstance(fault, Spoil):
                    piece, fault = bytes([piece[0] ^ 1]) + piece[1:], Pass()
                if left is not None and left <= len(piece):
                    self.wfile.write(piece[:left])
                    if isinstance(fault, Hang):
                        self._hang()
                    self._drop()
                    return
                left = None if left is None else left - len(piece)
                self.wfile.write(piece)

        def _say(self, fault: Say) -> None:
            self.send_response(fault.status)
            for name, value in {"Content-Length": str(len(fault.body)), **fault.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(fault.body)

        def _hang(self) -> None:
            self.wfile.flush()
            proxy.hanging += 1
            try:
                self.rfile.read(1)
            finally:
                # Who hangs up with bytes unread resets the connection, which ends the read with an error.
                proxy.hanging -= 1

        def _drop(self) -> None:
            self.wfile.flush()
            self.close_connection = True
            # The client may have been faster.
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_arguments: object) -> None:
            """Standard error belongs to the tests."""

    return Handler


def _pieces(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while piece := read(1 << 16):
        yield piece
