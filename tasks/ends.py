"""Telling that jobs have ended: from whoever ended them to whoever waits for them, over a channel of Redis.

Like a hint it decides nothing. Who hears it looks the job up in SQL; who does not hear it finds out when it polls.
"""

import json
from collections.abc import AsyncIterator, Sequence

from redis import RedisError
from redis.asyncio import Redis

from tasks.broker import Breaker, BrokerUnavailable, redis_client

_CHANNEL = "turnout.{database}.ended"
_CONNECT_SECONDS = 2.0


class EndSender:
    """Safe to use from several threads. A broker that does not speak Redis' protocol is told nothing."""

    def __init__(self, broker_url: str) -> None:
        self._redis = redis_client(broker_url)
        self._breaker = Breaker()

    def send(self, job_ids: Sequence[str]) -> None:
        """Tell that these jobs are final. Raises ``BrokerUnavailable``."""
        redis = self._redis
        if redis is not None:
            channel = _channel(redis.connection_pool.connection_kwargs)
            self._breaker.call(lambda: redis.publish(channel, json.dumps(list(job_ids))))


class EndListener:
    """Hears what every ``EndSender`` of the broker tells."""

    def __init__(self, broker_url: str) -> None:
        # How the URL is understood, and whether the broker has such channels at all.
        known = redis_client(broker_url)
        self._url = None if known is None else broker_url
        self._channel = "" if known is None else _channel(known.connection_pool.connection_kwargs)

    async def ends(self) -> AsyncIterator[Sequence[str]]:
        """None yet once it listens, and then the ids of jobs, as they are told; ends at once if the broker has no such
        channels. Raises ``BrokerUnavailable`` once the connection is lost."""
        if self._url is None:
            return
        redis = Redis.from_url(self._url, socket_connect_timeout=_CONNECT_SECONDS, socket_keepalive=True)
        try:
            async with redis, redis.pubsub() as channel:
                await channel.subscribe(self._channel)
                async for message in channel.listen():
                    yield _job_ids(message["data"]) if message["type"] == "message" else ()
        except (RedisError, OSError) as exc:
            raise BrokerUnavailable(type(exc).__name__) from exc


def _channel(connection: dict[str, object]) -> str:
    """Channels are the server's, not a database's, and one server may serve several Turnouts."""
    return _CHANNEL.format(database=connection.get("db", 0))


def _job_ids(data: bytes) -> Sequence[str]:
    """What is no list of ids tells nothing."""
    try:
        told = json.loads(data)
    except ValueError:
        return ()
    return [job_id for job_id in told if isinstance(job_id, str)] if isinstance(told, list) else ()
