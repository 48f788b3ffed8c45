"""What the broker is and how it was set up, for whoever looks after it."""

import time
from dataclasses import dataclass
from typing import Any

import redis

from tasks.broker import BrokerUnavailable, redis_client


@dataclass(frozen=True)
class BrokerFacts:
    """``keeps_data``: it writes what it holds to disk. None: it does not tell."""

    latency_seconds: float
    version: str
    eviction_policy: str | None
    keeps_data: bool | None


def broker_facts(broker_url: str) -> BrokerFacts | None:
    """None for a broker that is not of Redis's kind. Raises ``BrokerUnavailable``, whose text names the error."""
    client = redis_client(broker_url)
    if client is None:
        return None
    try:
        client.ping()
        started = time.perf_counter()
        client.ping()
        latency = time.perf_counter() - started
        told: dict[str, Any] = client.info()
        return BrokerFacts(
            latency_seconds=latency,
            version=str(told.get("valkey_version") or told.get("redis_version") or "?"),
            eviction_policy=told.get("maxmemory_policy"),
            keeps_data=_keeps_data(client, told),
        )
    except (redis.RedisError, OSError) as exc:
        raise BrokerUnavailable(type(exc).__name__) from exc
    finally:
        client.close()


def _keeps_data(client: redis.Redis, told: dict[str, Any]) -> bool | None:
    if told.get("aof_enabled"):
        return True
    try:
        snapshots = client.config_get("save").get("save")
    except redis.ResponseError:
        # Hosted servers don't let their settings be read.
        return None
    return bool(snapshots)
