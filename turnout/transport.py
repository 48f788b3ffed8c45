"""Requests to the server: with the key, with errors translated, and sent again only where that is safe."""

import ipaddress
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import httpx

from turnout.connection import Connection
from turnout.errors import ClientClosed, NotAllowed, ServerUnreachable, Unusable, refused

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_HIGHEST_PORT = 65535
_PASSING = {502, 503, 504}
# How long a request is tried again; whoever follows a job outlasts a restart of the server.
PATIENCE_SECONDS = 2.0
FOLLOWING_PATIENCE_SECONDS = 60.0


class Transport:
    """One server, one key, a pool of connections. Safe to use from several threads."""

    def __init__(self, connection: Connection) -> None:
        host = _host_of(connection.url)
        if connection.api_key is not None:
            _require_header("The API key", connection.api_key)
        self.url = connection.url
        self._has_key = connection.api_key is not None
        headers = {"Authorization": f"Bearer {connection.api_key}"} if connection.api_key else {}
        timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
        # Reading the certificates takes longer than most commands, and a plain address has no use for them.
        verify = False if connection.url.startswith("http://") else httpx.create_ssl_context()
        # A proxy that the environment names is no way to this machine itself.
        proxies = not _is_this_machine(host)
        self._http = httpx.Client(
            base_url=connection.url, headers=headers, timeout=timeout, trust_env=proxies, verify=verify
        )

    def close(self) -> None:
        self._http.close()

    def require_open(self) -> None:
        """Raises ``ClientClosed``."""
        if self._http.is_closed:
            raise ClientClosed("This client was closed; make a new one.")

    def get(
        self,
        path: str,
        parameters: Mapping[str, str | int] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        answer_seconds: float = _ANSWER_SECONDS,
    ) -> httpx.Response:
        """Raises ``Refused`` and ``ServerUnreachable``, as all of these methods do."""
        timeout = httpx.Timeout(answer_seconds, connect=_CONNECT_SECONDS)
        request = self._http.build_request("GET", path, params=parameters, headers=headers, timeout=timeout)
        return self._send(request, repeatable=True, patience_seconds=patience_seconds)

    def post(self, path: str, body: Any = None, *, idempotency_key: str | None = None) -> httpx.Response:
        """Sent again only if it carries an idempotency key, or never reached the server."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        _require_header("The idempotency key", idempotency_key or "")
        try:
            request = self._http.build_request("POST", path, json=body, headers=headers)
        except (TypeError, ValueError) as exc:
            raise Unusable(f"This can't be written as JSON: {exc}.") from exc
        return self._send(request, repeatable=idempotency_key is not None)

    def delete(self, path: str) -> None:
        self._send(self._http.build_request("DELETE", path), repeatable=False)

    def upload(self, path: str, name: str, content: IO[bytes], media_type: str) -> httpx.Response:
        """A multipart upload, read while it is sent."""
        timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
        files = {"file": (name, content, media_type)}
        request = self._http.build_request("POST", path, files=files, timeout=timeout)
        return self._send(request, repeatable=False, patience_seconds=0)

    @contextmanager
    def stream(self, path: str, *, headers: Mapping[str, str] | None = None) -> Iterator[httpx.Response]:
        """An answer that is read while it arrives. Not repeated: only the caller knows what it has read."""
        request = self._http.build_request("GET", path, headers=headers)
        try:
            response = self._http.send(request, stream=True)
            try:
                self._check(response)
                yield response
            finally:
                response.close()
        except httpx.TransportError as exc:
            raise self._unreachable(exc) from exc
        except RuntimeError as exc:
            self._raise_if_closed(exc)
            raise

    def _send(
        self, request: httpx.Request, *, repeatable: bool, patience_seconds: float = PATIENCE_SECONDS
    ) -> httpx.Response:
        give_up = time.monotonic() + patience_seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                response = self._http.send(request)
            except RuntimeError as exc:
                self._raise_if_closed(exc)
                raise
            except httpx.TransportError as exc:
                again = repeatable or isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout)
                if not again or time.monotonic() + pause > give_up:
                    raise self._unreachable(exc) from exc
            else:
                passing = repeatable and response.status_code in _PASSING and time.monotonic() + pause <= give_up
                if not passing:
                    self._check(response)
                    return response
            # With everyone's pause a little different, a server that comes back is not met by all at once.
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _check(self, response: httpx.Response) -> None:
        if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
            return
        response.read()
        if response.status_code == httpx.codes.UNAUTHORIZED and not self._has_key:
            detail = f"No API key is known for {self.url}; set TURNOUT_API_KEY, or start the server with `turnout up`."
            raise NotAllowed(401, "key_missing", detail)
        try:
            problem = response.json()
        except ValueError:
            problem = {}
        raise refused(response.status_code, problem if isinstance(problem, dict) else {})

    def _raise_if_closed(self, exc: RuntimeError) -> None:
        """httpx has no error of its own for a client that another thread closed."""
        if self._http.is_closed:
            raise ClientClosed("This client was closed; make a new one.") from exc

    def _unreachable(self, exc: Exception) -> ServerUnreachable:
        return ServerUnreachable(
            f"The server at {self.url} can't be reached ({type(exc).__name__}); "
            "start it with `turnout up`, or set TURNOUT_URL to where it runs."
        )


def _host_of(url: str) -> str:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as exc:
        raise Unusable(f"{url!r} is no address of a server: {exc}.") from exc
    if parts.scheme not in ("http", "https") or not parts.host or (parts.port or 0) > _HIGHEST_PORT:
        raise Unusable(f"{url!r} is no address of a server, such as http://127.0.0.1:8400.")
    return parts.host


def _require_header(what: str, value: str) -> None:
    if not value.isascii() or not value.isprintable():
        raise Unusable(
            f"{what} has characters that HTTP can't carry; only those of ASCII that can be printed may be used."
        )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
