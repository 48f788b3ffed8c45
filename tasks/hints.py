"""Sending hints. A refused or frozen broker costs half a second here and then nothing for a while."""

import base64
import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis
from celery import Celery
from kombu.exceptions import OperationalError
from kombu.utils.uuid import uuid
from redis.backoff import NoBackoff
from redis.retry import Retry

from tasks.celery_app import make_app

_TIMEOUT_SECONDS = 0.5
_PAUSE_SECONDS = 1.0
_T = TypeVar("_T")


class BrokerUnavailable(Exception):
    """The broker did not take the hints; they are to be sent again later."""


class HintSender:
    """Publishes hints and counts those that wait. Safe to use from several threads."""

    def __init__(self, broker_url: str) -> None:
        self._app: Celery = make_app(broker_url)
        self._redis = _redis_client(broker_url)
        self._lock = threading.Lock()
        self._paused_until = 0.0

    def send(self, queue: str, hints: Sequence[tuple[str, str]]) -> None:
        """Publish (job id, kind) pairs in order. Raises ``BrokerUnavailable``; some of them may then have gone out."""
        if hints:
            self._guarded(lambda: self._publish(queue, hints))

    def pending(self, queue: str) -> int:
        """How many hints lie in the broker's list. Raises ``BrokerUnavailable``."""
        return self._guarded(lambda: self._length(queue))

    def _guarded(self, call: Callable[[], _T]) -> _T:
        with self._lock:
            if time.monotonic() < self._paused_until:
                raise BrokerUnavailable("the broker failed a moment ago")
            try:
                return call()
            except (redis.RedisError, OperationalError, OSError) as exc:
                self._paused_until = time.monotonic() + _PAUSE_SECONDS
                raise BrokerUnavailable(type(exc).__name__) from exc

    def _publish(self, queue: str, hints: Sequence[tuple[str, str]]) -> None:
        if self._redis is None:
            for job_id, kind in hints:
                self._app.send_task(kind, args=[job_id], task_id=job_id, queue=queue, retry=False)
            return
        messages = [self._message(queue, job_id, kind) for job_id, kind in hints]
        self._redis.lpush(queue, *messages)

    def _length(self, queue: str) -> int:
        if self._redis is not None:
            return int(self._redis.llen(queue))
        with self._app.connection_for_write() as connection:
            return int(connection.default_channel.queue_declare(queue, passive=True).message_count)

    def _message(self, queue: str, job_id: str, kind: str) -> str:
        """What kombu's Redis transport would write for this task (Celery message protocol 2), without its connection
        pool: that one waits for a frozen server for longer than any caller can."""
        task = self._app.amqp.as_task_v2(job_id, kind, args=[job_id], kwargs={}, ignore_result=True)
        properties: dict[str, Any] = {
            **task.properties,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": uuid(),
        }
        return json.dumps(
            {
                "body": base64.b64encode(json.dumps(task.body).encode()).decode(),
                "content-encoding": "utf-8",
                "content-type": "application/json",
                "headers": task.headers,
                "properties": properties,
            }
        )


def _redis_client(broker_url: str) -> redis.Redis | None:
    if not broker_url.startswith(("redis://", "rediss://", "unix://")):
        return None
    return redis.Redis.from_url(
        broker_url,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        retry_on_timeout=False,
        retry=Retry(NoBackoff(), 0),
    )
