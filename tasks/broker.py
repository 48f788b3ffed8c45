"""The way to the broker for short messages that nobody can wait for: a refused or frozen one costs half a second here
and then nothing for a while."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import redis
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

_TIMEOUT_SECONDS = 0.5
_PAUSE_SECONDS = 1.0
_T = TypeVar("_T")


class BrokerUnavailable(Exception):
    """The broker did not take what was to be sent."""


class Breaker:
    """Leaves a broker alone for a moment after it failed. Calls from several threads follow each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paused_until = 0.0

    def call(self, call: Callable[[], _T]) -> _T:
        """What the call returns. Raises ``BrokerUnavailable``."""
        with self._lock:
            if time.monotonic() < self._paused_until:
                raise BrokerUnavailable("the broker failed a moment ago")
            try:
                return call()
            except (redis.RedisError, OperationalError, OSError) as exc:
                self._paused_until = time.monotonic() + _PAUSE_SECONDS
                raise BrokerUnavailable(type(exc).__name__) from exc


def redis_client(broker_url: str) -> redis.Redis | None:
    """None for a broker that does not speak Redis' protocol."""
    if not broker_url.startswith(("redis://", "rediss://", "unix://")):
        return None
    return redis.Redis.from_url(
        broker_url,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        retry_on_timeout=False,
        retry=Retry(NoBackoff(), 0),
    )
