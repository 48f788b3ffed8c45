"""What monitors are told of jobs that ran outside of Celery's tasks."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

import workers.mirror
from workers.mirror import Announcer


class FakeConsumer:
    """Celery's consumer: what is due is called by ``tick``, unless it is lost."""

    def __init__(self) -> None:
        self.timer = self
        self.event_dispatcher = self
        self.due: list[Callable[[], None]] = []
        self.sent: list[tuple[str, Any]] = []

    def call_soon(self, call: Callable[..., None], *arguments: Any) -> None:
        call(*arguments)

    def call_after(self, _seconds: float, call: Callable[[], None]) -> None:
        self.due.append(call)

    def send(self, name: str, **fields: Any) -> None:
        self.sent.append((name, fields["uuid"]))

    def tick(self) -> None:
        due, self.due = self.due, []
        for call in due:
            call()


def event(name: str, job_id: str) -> tuple[str, Mapping[str, Any]]:
    return name, {"uuid": job_id}


def test_what_happens_within_a_moment_is_told_together() -> None:
    announcer, consumer = Announcer(), FakeConsumer()
    announcer.send([event("task-started", "before there is a consumer")])
    announcer.use(consumer)
    announcer.send([event("task-started", "a")])
    announcer.send([event("task-succeeded", "a"), event("task-started", "b")])
    assert (len(consumer.due), consumer.sent) == (1, [])
    consumer.tick()
    assert consumer.sent == [("task-started", "a"), ("task-succeeded", "a"), ("task-started", "b")]
    announcer.send([event("task-succeeded", "b")])
    consumer.tick()
    assert consumer.sent[3:] == [("task-succeeded", "b")]


def test_a_call_that_celery_lost_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.mirror, "_LONGEST_SECONDS", 0.0)
    monkeypatch.setattr(workers.mirror, "_MOST_WAITING", 2)
    announcer, consumer = Announcer(), FakeConsumer()
    announcer.use(consumer)
    announcer.send([event("task-started", "a"), event("task-started", "b")])
    consumer.due.clear()
    announcer.send([event("task-started", "c")])
    consumer.tick()
    assert consumer.sent == [("task-started", "b"), ("task-started", "c")]
