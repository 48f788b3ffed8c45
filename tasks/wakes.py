"""Waking the workers: the broadcast that somebody asked running jobs to end.

Like a hint it decides nothing. A worker that hears it looks at once at what SQL asks of the jobs it runs; one that does
not hear it looks when it renews its leases.
"""

import base64
import json
import time
from collections.abc import Sequence
from typing import Any

from kombu.utils.uuid import uuid

from tasks.broker import Breaker, redis_client
from tasks.celery_app import make_app

WAKE = "turnout_wake"
# Celery's own default for a command that nobody answers.
_EXPIRES_SECONDS = 1.0


class WakeSender:
    """Broadcasts by Celery's remote control. Safe to use from several threads."""

    def __init__(self, broker_url: str) -> None:
        self._app = make_app(broker_url)
        self._redis = redis_client(broker_url)
        self._breaker = Breaker()

    def send(self, job_ids: Sequence[str]) -> None:
        """Have the workers that run these jobs look at what is asked of them. Raises ``BrokerUnavailable``."""
        self._breaker.call(lambda: self._publish(job_ids))

    def _publish(self, job_ids: Sequence[str]) -> None:
        arguments = {"job_ids": list(job_ids)}
        if self._redis is None:
            self._app.control.broadcast(WAKE, arguments=arguments)
            return
        exchange = self._app.control.mailbox.exchange.name
        # kombu keeps databases of one server apart by the channel's name.
        number = self._redis.connection_pool.connection_kwargs.get("db", 0)
        self._redis.publish(f"/{number}.{exchange}", self._message(exchange, arguments))

    def _message(self, exchange: str, arguments: dict[str, Any]) -> str:
        """What kombu's pidbox would publish for this command, without its connection pool: that one waits for a frozen
        server for longer than any caller can."""
        command = {
            "method": WAKE,
            "arguments": arguments,
            "destination": None,
            "pattern": None,
            "matcher": None,
        }
        return json.dumps(
            {
                "body": base64.b64encode(json.dumps(command).encode()).decode(),
                "content-encoding": "utf-8",
                "content-type": "application/json",
                "headers": {"clock": self._app.clock.forward(), "expires": time.time() + _EXPIRES_SECONDS},
                "properties": {
                    "delivery_mode": 2,
                    "delivery_info": {"exchange": exchange, "routing_key": ""},
                    "priority": 0,
                    "body_encoding": "base64",
                    "delivery_tag": uuid(),
                },
            }
        )
