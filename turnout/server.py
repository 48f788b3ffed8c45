"""One server as a client knows it: its address, the key, and the way there."""

import ipaddress
from typing import TypedDict

import httpx

from turnout.connection import Connection
from turnout.errors import ServerUnreachable, Unusable
from turnout.steps import Answer, Request

CONNECT_SECONDS = 5.0
# A socket that takes nothing for so long belongs to a server that is frozen, or gone.
_WRITE_SECONDS = 60.0
# Shorter than servers keep an idle connection: none is used just while the server closes it.
_KEEP_ALIVE_SECONDS = 3.0
_HIGHEST_PORT = 65535


class HttpOptions(TypedDict):
    """What ``httpx.Client`` and ``httpx.AsyncClient`` are made with."""

    base_url: str
    headers: dict[str, str]
    trust_env: bool
    verify: object
    limits: httpx.Limits


class Server:
    """Raises ``Unusable`` for an address or a key that can't be used."""

    def __init__(self, connection: Connection) -> None:
        self._host = _host_of(connection.url)
        if connection.api_key is not None:
            require_header("The API key", connection.api_key)
        self.url = connection.url
        self.has_key = connection.api_key is not None
        # Whether it has ever answered: one that was there is worth more patience than one that may not exist.
        self.answered = False
        self._headers = {"Authorization": f"Bearer {connection.api_key}"} if connection.api_key else {}

    def http_options(self) -> HttpOptions:
        return {
            "base_url": self.url,
            "headers": self._headers,
            # A proxy that the environment names is no way to this machine itself.
            "trust_env": not _is_this_machine(self._host),
            # Reading the certificates takes longer than most commands, and a plain address has no use for them.
            "verify": False if self.url.startswith("http://") else httpx.create_ssl_context(),
            # Whoever waits for a job, or follows it, holds a connection; with a limit, many would keep others out.
            "limits": httpx.Limits(
                max_connections=None, max_keepalive_connections=20, keepalive_expiry=_KEEP_ALIVE_SECONDS
            ),
        }

    def unreachable(self, exc: Exception) -> ServerUnreachable:
        return ServerUnreachable(
            f"The server at {self.url} can't be reached ({type(exc).__name__}); "
            "start it with `turnout up`, or set TURNOUT_URL to where it runs."
        )


def to_httpx(http: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
    timeout = httpx.Timeout(connect=CONNECT_SECONDS, read=request.read_seconds, write=_WRITE_SECONDS, pool=None)
    try:
        return http.build_request(
            request.method,
            request.path,
            params=dict(request.parameters) or None,
            headers=dict(request.headers),
            content=request.content,
            files=None if request.file is None else {"file": request.file},
            timeout=timeout,
        )
    except httpx.InvalidURL as exc:
        raise Unusable(f"This makes no address: {exc}.") from exc
    except UnicodeEncodeError as exc:
        raise Unusable(f"{exc.object!r} is no text; give it in UTF-8.") from exc


def from_httpx(response: httpx.Response, body: bytes) -> Answer:
    return Answer(response.status_code, dict(response.headers), body)


def unusable_way(url: str, exc: Exception) -> Unusable:
    """For what httpx says when it can't even begin: a broken proxy variable, certificates that can't be read."""
    return Unusable(
        f"The way to {url} can't be set up ({type(exc).__name__}: {exc}); look at the variables HTTP_PROXY, "
        "HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE."
    )


# What making an httpx client raises for them: a proxy of an unknown scheme, one that needs another package, a file of
# certificates that is not there or is none.
WAY_ERRORS = (httpx.InvalidURL, ValueError, ImportError, OSError)


def require_header(what: str, value: str) -> None:
    if not value.isascii() or not value.isprintable():
        raise Unusable(
            f"{what} has characters that HTTP can't carry; only those of ASCII that can be printed may be used."
        )


def _host_of(url: str) -> str:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as exc:
        raise Unusable(f"{url!r} is no address of a server: {exc}.") from exc
    if parts.scheme not in ("http", "https") or not parts.host or (parts.port or 0) > _HIGHEST_PORT:
        raise Unusable(f"{url!r} is no address of a server, such as http://127.0.0.1:8400.")
    return parts.host


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
