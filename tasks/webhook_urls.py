"""Where a webhook may lead. A URL comes from a user and is called from inside of the installation, so nothing that only
the installation can reach may be reached with it (server-side request forgery).

The API refuses what is wrong by its text alone; whoever delivers checks each address that the name stands for at that
moment, and connects to a checked address, so that a name that changes meanwhile leads nowhere else.
"""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, TypeAlias
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

LONGEST_URL = 2000

_DEFAULT_PORTS = {"http": 80, "https": 443}
# Mail servers and the like take a request for a conversation in their own protocol.
_FIRST_FREE_PORT = 1024
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?", re.ASCII)
_LEGAL = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]*", re.ASCII)
# What ``is_global`` of one Python or another calls public and is none: addresses of protocols, relays into other
# networks, documentation, and a cloud's metadata at a public address.
_NOT_PUBLIC = [
    ip_network(text)
    for text in (
        *("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
]
# Everything else in version 6 is private, a transition to version 4 (mapped, NAT64), multicast or not given out.
_PUBLIC_V6 = IPv6Network("2000::/3")


class BadWebhookUrl(ValueError):
    """The URL can't be a webhook's; the message says why."""


@dataclass(frozen=True)
class WebhookUrl:
    """A URL in its parts. ``target`` is the path and the query, as a request names them."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port, the same for every way to write them; what is counted as one receiver."""
        return f"{self._host_in_url.lower()}:{self.port}"

    @property
    def host_header(self) -> str:
        return self._host_in_url if self.port == _DEFAULT_PORTS[self.scheme] else f"{self._host_in_url}:{self.port}"

    @property
    def without_query(self) -> str:
        """To be shown: receivers often have a secret in the query."""
        path, question_mark, _query = self.target.partition("?")
        return f"{self.scheme}://{self.host_header}{path}{question_mark and '?…'}"

    @property
    def _host_in_url(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def _networks(value: object) -> object:
    """From a setting's text: networks with commas or spaces between them."""
    if not isinstance(value, str):
        return value
    return tuple(ip_network(part) for part in re.split(r"[,\s]+", value) if part)


# Several networks, in a setting ``127.0.0.0/8,10.0.0.0/8``.
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]


def parse_url(text: str) -> WebhookUrl:
    """Raises ``BadWebhookUrl``."""
    if len(text) > LONGEST_URL or not _LEGAL.fullmatch(text):
        raise BadWebhookUrl(f"A webhook's URL has {LONGEST_URL} characters at most, ASCII only, and no fragment.")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise BadWebhookUrl("This is no URL.") from exc
    if parts.scheme not in _DEFAULT_PORTS:
        raise BadWebhookUrl("A webhook's URL begins with https://.")
    if not host:
        raise BadWebhookUrl("The URL names no host.")
    if "@" in parts.netloc:
        raise BadWebhookUrl("User and password have no place in a webhook's URL; its requests are signed.")
    _check_host(parts, host)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebhookUrl(parts.scheme, host, _DEFAULT_PORTS[parts.scheme] if port is None else port, target)


def check_submitted(url: WebhookUrl, allowed: Sequence[Network]) -> None:
    """Refuse what no delivery would get through. Raises ``BadWebhookUrl``; a name is looked up only at delivery."""
    address = _literal(url.host)
    if address is None and url.host.rstrip(".").rpartition(".")[2] == "localhost":
        address = IPv4Address("127.0.0.1")
    if address is not None:
        check_address(url, address, allowed)
    elif not allowed:
        _check_manners(url)


def check_address(url: WebhookUrl, address: Address, allowed: Sequence[Network]) -> None:
    """Refuse to connect to this address of the URL's host. Raises ``BadWebhookUrl``, which doesn't tell the address:
    that of a name may be a secret of the installation."""
    if any(address in network for network in allowed if network.version == address.version):
        return
    if not is_public(address):
        raise BadWebhookUrl(
            f"{url.host} is no public address. Whoever runs this installation can allow its network "
            "with TURNOUT_WEBHOOK_ALLOW."
        )
    _check_manners(url)


def is_public(address: Address) -> bool:
    """Whether anyone on the internet could reach this address as well as we can."""
    if isinstance(address, IPv6Address) and (address.scope_id or address not in _PUBLIC_V6):
        return False
    if any(address in network for network in _NOT_PUBLIC if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _check_manners(url: WebhookUrl) -> None:
    """What is asked of receivers on the internet only."""
    if url.scheme != "https":
        raise BadWebhookUrl("A webhook's URL begins with https://; http is for networks in TURNOUT_WEBHOOK_ALLOW.")
    if url.port != _DEFAULT_PORTS["https"] and url.port < _FIRST_FREE_PORT:
        raise BadWebhookUrl(f"A webhook's port is 443 or {_FIRST_FREE_PORT} and above, not {url.port}.")


def _check_host(parts: SplitResult, host: str) -> None:
    if parts.netloc.startswith("["):
        try:
            IPv6Address(host)
        except ValueError as exc:
            raise BadWebhookUrl(f"[{host}] is no address.") from exc
    elif len(host) > 253 or not _NAME.fullmatch(host):
        raise BadWebhookUrl(f"{host!r} is no host name; names in other scripts are written in Punycode (xn--…).")


def _literal(host: str) -> Address | None:
    """The address that a host name is by itself, also in the short and numeric forms that resolvers take (127.1)."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host.rstrip(".")))
    except OSError:
        return None
