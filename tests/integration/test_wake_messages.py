"""Wakes are published past kombu's connection pool, so they must be what Celery's own broadcast publishes."""

import base64
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.client import PubSub

from tasks.broker import BrokerUnavailable
from tasks.celery_app import make_app
from tasks.wakes import WAKE, WakeSender
from tests.servers import ValkeyServer


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def everything(valkey: ValkeyServer) -> Iterator[PubSub]:
    """Hears every channel."""
    with valkey.client().pubsub() as listener:
        listener.psubscribe("*")
        assert listener.get_message(timeout=5)["type"] == "psubscribe"
        yield listener


def heard(listener: PubSub) -> tuple[bytes, dict[str, Any]]:
    """The next message's channel, and the message with its body decoded."""
    found = listener.get_message(timeout=5)
    message = json.loads(found["data"])
    return found["channel"], {**message, "body": base64.b64decode(message["body"])}


@pytest.mark.parametrize("database", [0, 3])
def test_a_wake_is_the_message_that_celery_broadcasts(valkey: ValkeyServer, everything: PubSub, database: int) -> None:
    url = valkey.url.removesuffix("/0") + f"/{database}"
    make_app(url).control.broadcast(WAKE, arguments={"job_ids": ["a", "b"]})
    WakeSender(url).send(["a", "b"])
    (their_channel, theirs), (our_channel, ours) = heard(everything), heard(everything)
    assert our_channel == their_channel
    for message in (theirs, ours):
        # Both differ from one message to the next.
        assert message["properties"].pop("delivery_tag")
        assert message["headers"].pop("expires")
    assert ours == theirs


def test_a_refusing_broker_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BrokerUnavailable):
        WakeSender(ValkeyServer(tmp_path).url).send(["a"])


def test_a_frozen_broker_is_reported_and_then_left_alone(valkey: ValkeyServer) -> None:
    sender = WakeSender(valkey.url)
    valkey.signal(signal.SIGSTOP)
    try:
        with pytest.raises(BrokerUnavailable, match="Timeout"):
            sender.send(["a"])
        with pytest.raises(BrokerUnavailable, match="a moment ago"):
            sender.send(["a"])
    finally:
        valkey.signal(signal.SIGCONT)
