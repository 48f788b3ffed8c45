"""Hints are written past kombu's connection pool, so they must be what kombu itself would have written."""

import base64
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.broker import BrokerUnavailable
from tasks.celery_app import make_app, register_kinds
from tasks.hints import HintSender
from tasks.registry import load_kinds
from tests.servers import ValkeyServer


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def empty(valkey: ValkeyServer) -> None:
    valkey.client().flushall()


def messages(valkey: ValkeyServer, queue: str) -> list[dict[str, Any]]:
    """Oldest first, as a worker takes them."""
    raw: list[bytes] = valkey.client().lrange(queue, 0, -1)  # type: ignore[assignment]
    return [json.loads(message) for message in reversed(raw)]


def test_a_hint_is_the_message_that_celery_sends(valkey: ValkeyServer) -> None:
    app = make_app(valkey.url)
    register_kinds(app, load_kinds(), lambda _task, _job_id: None)
    app.send_task("check_worker", args=["j"], task_id="j", queue="cpu", ignore_result=True)
    HintSender(valkey.url).send("cpu", [("j", "check_worker")])
    theirs, ours = messages(valkey, "cpu")
    assert base64.b64decode(ours["body"]) == base64.b64decode(theirs["body"])
    for message in (ours, theirs):
        del message["body"], message["properties"]["delivery_tag"], message["properties"]["reply_to"]
    # Celery adds the sender's name and its own defaults; what both have is the same.
    assert {name: ours["headers"][name] for name in theirs["headers"] if name in ours["headers"]} == {
        name: value for name, value in theirs["headers"].items() if name in ours["headers"]
    }
    assert {"id", "task", "root_id", "argsrepr", "ignore_result"} <= set(ours["headers"])
    assert ours["properties"] == theirs["properties"]


def test_hints_keep_their_order(valkey: ValkeyServer) -> None:
    sender = HintSender(valkey.url)
    sender.send("cpu", [("a", "check_worker"), ("b", "check_worker")])
    sender.send("cpu", [("c", "check_worker")])
    assert [message["headers"]["id"] for message in messages(valkey, "cpu")] == ["a", "b", "c"]
    assert (sender.pending("cpu"), sender.pending("h2o")) == (3, 0)


def test_a_refusing_broker_is_reported(tmp_path: Path) -> None:
    server = ValkeyServer(tmp_path)
    with pytest.raises(BrokerUnavailable):
        HintSender(server.url).send("cpu", [("a", "check_worker")])


def test_a_frozen_broker_is_reported_and_then_left_alone(valkey: ValkeyServer) -> None:
    sender = HintSender(valkey.url)
    valkey.signal(signal.SIGSTOP)
    try:
        with pytest.raises(BrokerUnavailable, match="Timeout"):
            sender.send("cpu", [("a", "check_worker")])
        with pytest.raises(BrokerUnavailable, match="a moment ago"):
            sender.send("cpu", [("a", "check_worker")])
    finally:
        valkey.signal(signal.SIGCONT)


def test_the_broker_keeps_no_account_of_who_has_a_hint(tmp_path: Path, valkey: ValkeyServer) -> None:
    valkey.client().config_resetstat()
    app = make_app(valkey.url)
    HintSender(valkey.url).send("cpu", [("j", "check_worker")])
    with app.connection_for_read() as connection:
        taken = connection.SimpleQueue(app.amqp.queues["cpu"]).get(timeout=10)
        assert taken.headers["id"] == "j"
        taken.ack()
    assert not {"cmdstat_zadd", "cmdstat_hset"} & set(valkey.client().info("commandstats"))
