"""Whether a cluster still has all its nodes. H2O itself takes a minute to miss one."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tasks.errors import ClusterLost

# A node's heartbeat comes every second; a long garbage collection may hold up this many.
SILENT_SECONDS = 10.0
_CONNECT_SECONDS = 2.0
_MOST_CONNECTING = 32

Json = dict[str, Any]


class NodeLost(ClusterLost):
    """The cluster lost a node, and what it computes stands still until all its nodes were started again."""


class Nodes:
    """The nodes of one cluster, and which of them this machine can reach.

    A node that misses heartbeats may only be slow. But if its port, which took connections before, now refuses them,
    its process is dead.
    """

    def __init__(self, cloud: Json, refuses: Callable[[str], bool | None] | None = None) -> None:
        self._refuses = refuses or _refuses
        self.count = int(cloud["cloud_size"])
        addresses = [node["ip_port"] for node in cloud["nodes"]] if self.count > 1 else []
        # A firewall may let each take all its time.
        with ThreadPoolExecutor(_MOST_CONNECTING) as pool:
            found = zip(addresses, pool.map(self._refuses, addresses), strict=True)
            self._reachable = {address for address, refuses in found if refuses is False}

    def require_all(self, cloud: Json) -> None:
        """Raises ``NodeLost`` if H2O misses a node, or will."""
        if not cloud["cloud_healthy"] or cloud["bad_nodes"] or not cloud["consensus"]:
            raise _lost(f"{cloud['bad_nodes'] or 'some'} of its {cloud['cloud_size']} nodes")
        for address in _silent(cloud):
            if address in self._reachable and self._refuses(address):
                raise _lost(f"its node {address}")

    def require_awake(self, cloud: Json) -> None:
        """The same before anything begins, when to wait for a node that may only be slow costs nothing."""
        self.require_all(cloud)
        for address in _silent(cloud):
            raise _lost(f"its node {address}")


def _silent(cloud: Json) -> list[str]:
    """The nodes that miss heartbeats, by the clock of those that don't."""
    now = max(node["last_ping"] for node in cloud["nodes"])
    return [node["ip_port"] for node in cloud["nodes"] if (now - node["last_ping"]) / 1000 > SILENT_SECONDS]


def _lost(what: str) -> NodeLost:
    return NodeLost(f"The H2O cluster lost {what}; restart all its nodes, as H2O can't replace one.")


def _refuses(address: str) -> bool | None:
    """Whether the port at ``host:port`` refuses connections; None if nothing answers at all."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return None
