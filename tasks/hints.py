"""Sending hints. A refused or frozen broker costs half a second here and then nothing for a while."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from celery import Celery
from kombu.utils.uuid import uuid

from tasks.broker import Breaker, redis_client
from tasks.celery_app import make_app


class HintSender:
    """Publishes hints and counts those that wait. Safe to use from several threads."""

    def __init__(self, broker_url: str) -> None:
        self._app: Celery = make_app(broker_url)
        self._redis = redis_client(broker_url)
        self._breaker = Breaker()

    def send(self, queue: str, hints: Sequence[tuple[str, str]]) -> None:
        """Publish (job id, kind) pairs in order. Raises ``BrokerUnavailable``; some of them may then have gone out."""
        if hints:
            self._breaker.call(lambda: self._publish(queue, hints))

    def pending(self, queue: str) -> int:
        """How many hints lie in the broker's list. Raises ``BrokerUnavailable``."""
        return self._breaker.call(lambda: self._length(queue))

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
