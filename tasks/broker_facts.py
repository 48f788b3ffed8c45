"""What the broker is and how it was set up, for whoever looks after it."""

import ipaddress
import time
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import redis

from tasks.broker import BrokerUnavailable, redis_client

OpenTo = Literal["machine", "network"]


@dataclass(frozen=True)
class BrokerFacts:
    """``keeps_data``: it writes what it holds to disk. ``refuses_writes``: why it takes nothing new, in words.
    ``memory_used``: the share of what it may use. ``open_to``: who gets in without a password. None: nobody or
    nothing, or it does not tell."""

    latency_seconds: float
    version: str
    eviction_policy: str | None
    keeps_data: bool | None
    refuses_writes: str | None = None
    memory_used: float | None = None
    open_to: OpenTo | None = None


def broker_facts(broker_url: str) -> BrokerFacts | None:
    """None for a broker that is not of Redis's kind. Raises ``BrokerUnavailable``, whose text names the error."""
    client = redis_client(broker_url)
    if client is None:
        return None
    try:
        # Not PING, which is refused with the writes.
        client.time()
        started = time.perf_counter()
        client.time()
        latency = time.perf_counter() - started
        told: dict[str, Any] = client.info()
        return BrokerFacts(
            latency_seconds=latency,
            version=str(told.get("valkey_version") or told.get("redis_version") or "?"),
            eviction_policy=told.get("maxmemory_policy"),
            keeps_data=_keeps_data(client, told),
            refuses_writes=_refusal(client, told),
            memory_used=told["used_memory"] / told["maxmemory"] if told.get("maxmemory") else None,
            open_to=_open_to(client, broker_url),
        )
    except (redis.RedisError, OSError) as exc:
        raise BrokerUnavailable(type(exc).__name__) from exc
    finally:
        client.close()


def _keeps_data(client: redis.Redis, told: dict[str, Any]) -> bool | None:
    if told.get("aof_enabled"):
        return True
    snapshots = _setting(client, "save")
    return None if snapshots is None else bool(snapshots)


def _refusal(client: redis.Redis, told: dict[str, Any]) -> str | None:
    if told.get("role") == "slave" and _setting(client, "replica-read-only") != "no":
        return "is a replica that takes no writes"
    if told.get("aof_enabled") and told.get("aof_last_write_status") == "err":
        return "can't write to its disk"
    stops = _setting(client, "stop-writes-on-bgsave-error") == "yes" and _setting(client, "save")
    if stops and told.get("rdb_last_bgsave_status") == "err":
        return "could not save a snapshot, and takes no writes until it can"
    return None


def _open_to(client: redis.Redis, broker_url: str) -> OpenTo | None:
    address = urlsplit(broker_url)
    if address.scheme == "unix" or not _lets_in(broker_url):
        return None
    if not _is_loopback(address.hostname or "localhost"):
        return "network"
    # Without a password it listens to other machines only where its protection was switched off.
    listens = (_setting(client, "bind") or "").split()
    public = any(not _is_loopback(place.removeprefix("-")) for place in listens)
    return "network" if public and _setting(client, "protected-mode") == "no" else "machine"


def _lets_in(broker_url: str) -> bool:
    """Whether it answers who says no password."""
    address = urlsplit(broker_url)
    anonymous = redis_client(urlunsplit(address._replace(netloc=address.netloc.rpartition("@")[2])))
    if anonymous is None:
        return False
    try:
        anonymous.time()
    except redis.RedisError:
        return False
    finally:
        anonymous.close()
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _setting(client: redis.Redis, name: str) -> str | None:
    try:
        value: str | None = client.config_get(name).get(name)
    except redis.ResponseError:
        # Hosted servers don't let their settings be read.
        return None
    return value
