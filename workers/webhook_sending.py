"""Sending one request to a receiver that nobody vouches for: to a checked address, within a time, believing nothing.

With sockets of our own and h11 rather than an HTTP client: a client resolves names itself, follows proxies of the
environment, and takes several times as long.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

import certifi
import h11

from tasks.webhook_urls import Address, BadWebhookUrl, Network, WebhookUrl, check_address, parse_url

CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 10.0
# A name may have many addresses; a receiver that is there answers at one of the first.
_MOST_ADDRESSES = 3
_LONGEST_HEAD = 16 * 1024


class NotDelivered(Exception):
    """No answer came; the message says why, for whoever submitted the job to read."""


class Sender:
    """Each request has a connection of its own, made to an address that was checked; a certificate has to be that of
    the URL's host. ``allowed`` are networks that are not public and yet may be called."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._tls = ssl.create_default_context()
        self._tls.load_verify_locations(certifi.where())

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status of the answer; nothing after its head is read, and no redirect followed. Raises
        ``NotDelivered``."""
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                return await self._post(parse_url(url), headers, body)
        except TimeoutError as exc:
            raise NotDelivered(f"No answer within {TOTAL_SECONDS:g} s.") from exc
        except BadWebhookUrl as exc:
            raise NotDelivered(str(exc)) from exc

    async def _post(self, url: WebhookUrl, headers: Mapping[str, str], body: bytes) -> int:
        addresses = await resolve(url)
        for address in addresses:
            check_address(url, address, self._allowed)
        reader, writer = await self._connect(url, addresses[:_MOST_ADDRESSES])
        try:
            return await _exchange(reader, writer, url, headers, body)
        except (OSError, h11.RemoteProtocolError) as exc:
            raise NotDelivered("The connection broke before an answer came.") from exc
        finally:
            # Whatever else the receiver may send, nobody reads it.
            writer.transport.abort()

    async def _connect(
        self, url: WebhookUrl, addresses: Sequence[Address]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        problem: Exception = OSError()
        for address in addresses:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    if url.scheme == "http":
                        return await asyncio.open_connection(str(address), url.port)
                    return await asyncio.open_connection(
                        str(address), url.port, ssl=self._tls, server_hostname=url.host
                    )
            except (OSError, TimeoutError) as exc:
                problem = exc
        raise NotDelivered(f"No connection: {_in_words(problem)}") from problem


async def resolve(url: WebhookUrl) -> list[Address]:
    """All addresses of the URL's host, each once. Raises ``NotDelivered``."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise NotDelivered(f"The host name {url.host} could not be resolved.") from exc
    return [ip_address(text) for text in dict.fromkeys(str(entry[4][0]) for entry in found)]


async def _exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    url: WebhookUrl,
    headers: Mapping[str, str],
    body: bytes,
) -> int:
    own = {"host": url.host_header, "content-length": str(len(body)), "connection": "close"}
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
    request = h11.Request(method="POST", target=url.target, headers=list((own | dict(headers)).items()))
    for part in (request, h11.Data(body), h11.EndOfMessage()):
        writer.write(connection.send(part) or b"")
    await writer.drain()
    while not isinstance(event := connection.next_event(), h11.Response):
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_LONGEST_HEAD))
        elif isinstance(event, h11.ConnectionClosed):
            raise ConnectionResetError
    return event.status_code


def _in_words(exc: Exception) -> str:
    """What the error says, without the address that it may name."""
    match exc:
        case TimeoutError():
            return f"no answer within {CONNECT_SECONDS:g} s."
        case ssl.SSLCertVerificationError():
            return f"its certificate is not accepted ({exc.verify_message})."
        case ssl.SSLError():
            return f"TLS failed ({exc.reason})."
        case ConnectionRefusedError():
            return "refused."
    return "closed or unreachable."
