"""Sending one request to a receiver that nobody vouches for: to a checked address, within a time, believing nothing."""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

import certifi
import httpx

from tasks.webhook_urls import Address, BadWebhookUrl, Network, WebhookUrl, check_address, parse_url

CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 10.0
# A name may have many addresses; a receiver that is there answers at one of the first.
_MOST_ADDRESSES = 3


class NotDelivered(Exception):
    """No answer came; the message says why, for whoever submitted the job to read."""


class Sender:
    """Belongs to one event loop. Each request has a connection of its own: one that was made for another receiver at
    the same address would have checked that one's certificate."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        tls = ssl.create_default_context()
        tls.load_verify_locations(certifi.where())
        # Without the environment: a proxy would resolve the name anew, and .netrc holds passwords.
        transport = httpx.AsyncHTTPTransport(verify=tls, limits=httpx.Limits(max_keepalive_connections=0))
        self._transport = transport

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status of the answer; nothing else of it is read, and no redirect followed. Raises ``NotDelivered``."""
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                return await self._post(parse_url(url), headers, body)
        except TimeoutError as exc:
            raise NotDelivered(f"No answer within {TOTAL_SECONDS:g} s.") from exc
        except BadWebhookUrl as exc:
            raise NotDelivered(str(exc)) from exc

    async def close(self) -> None:
        await self._transport.aclose()

    async def _post(self, url: WebhookUrl, headers: Mapping[str, str], body: bytes) -> int:
        addresses = await resolve(url)
        for address in addresses:
            check_address(url, address, self._allowed)
        for address in addresses[:_MOST_ADDRESSES]:
            request = _request(url, address, headers, body)
            try:
                return await self._status(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
                problem: Exception = exc
            except (httpx.HTTPError, OSError) as exc:
                raise NotDelivered(f"The connection broke before an answer came: {_in_words(exc)}") from exc
        raise NotDelivered(f"No connection: {_in_words(problem)}") from problem

    async def _status(self, request: httpx.Request) -> int:
        response = await self._transport.handle_async_request(request)
        await response.aclose()
        return response.status_code


async def resolve(url: WebhookUrl) -> list[Address]:
    """All addresses of the URL's host, each once. Raises ``NotDelivered``."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise NotDelivered(f"The host name {url.host} could not be resolved.") from exc
    return [ip_address(text) for text in dict.fromkeys(str(entry[4][0]) for entry in found)]


def _request(url: WebhookUrl, address: Address, headers: Mapping[str, str], body: bytes) -> httpx.Request:
    return httpx.Request(
        "POST",
        httpx.URL(scheme=url.scheme, host=str(address), port=url.port, raw_path=url.target.encode()),
        headers={"host": url.host_header, "connection": "close", "accept": "*/*", **headers},
        content=body,
        extensions={
            # Its certificate has to be the name's, not the address's.
            "sni_hostname": url.host,
            "timeout": {"connect": CONNECT_SECONDS, "read": TOTAL_SECONDS, "write": TOTAL_SECONDS},
        },
    )


def _in_words(exc: BaseException) -> str:
    """What the error says, without the address that it may name."""
    if isinstance(exc, httpx.ConnectTimeout):
        return f"no answer within {CONNECT_SECONDS:g} s."
    cause = exc
    while cause.__cause__ is not None or cause.__context__ is not None:
        cause = cause.__cause__ or cause.__context__ or cause
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted ({cause.verify_message})."
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({cause.reason})."
        if isinstance(cause, ConnectionRefusedError):
            return "refused."
    return "closed or unreachable."
