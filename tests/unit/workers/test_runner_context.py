import contextlib
import math
import queue
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import FileInput
from tasks.errors import StorageError
from workers.channel import Channel, ChannelClosed, Message
from workers.runner_context import RunnerContext


class Worker:
    """The other end: collects what the context says, and answers when told to."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._heard: queue.SimpleQueue[Message] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def next(self) -> Message:
        return self._heard.get(timeout=10)

    def _listen(self) -> None:
        with contextlib.suppress(ChannelClosed):
            while True:
                self._heard.put(self._channel.receive())


@pytest.fixture
def worker_end() -> tuple[Channel, Channel]:
    ours, theirs = socket.socketpair()
    return Channel(ours), Channel(theirs)


@pytest.fixture
def worker(worker_end: tuple[Channel, Channel]) -> Worker:
    return Worker(worker_end[1])


@pytest.fixture
def context(worker_end: tuple[Channel, Channel], tmp_path: Path) -> Iterator[RunnerContext]:
    order = {
        "job_id": "j",
        "attempt": 2,
        "checkpoint": {"run": 1},
        "inputs": {"file:f": "/data/f"},
        "scratch": str(tmp_path),
        "lease_until": time.monotonic() + 60,
    }
    return RunnerContext(worker_end[0], order)


def test_every_report_carries_the_token(context: RunnerContext, worker: Worker) -> None:
    context.progress(0.5, "half", eta_seconds=3)
    context.log("line")
    context.output(1, "and so")
    for kind in ("progress", "log", "output"):
        message = worker.next()
        assert (message["type"], message["job_id"], message["attempt"]) == (kind, "j", 2)


def test_inputs_are_where_the_worker_put_them(context: RunnerContext) -> None:
    assert context.input_path(FileInput(file="f")) == Path("/data/f")


def test_a_checkpoint_returns_once_it_is_committed(context: RunnerContext, worker: Worker) -> None:
    caller = threading.Thread(target=context.checkpoint, args=({"run": 2},))
    caller.start()
    message = worker.next()
    assert message["document"] == {"run": 2}
    assert context.saved_checkpoint == {"run": 1}
    context.hear({"type": "answer", "call": message["call"], "problem": None})
    caller.join(10)
    assert context.saved_checkpoint == {"run": 2}


def test_an_artifact_that_can_not_be_kept_is_an_error(context: RunnerContext, worker: Worker) -> None:
    def answer() -> None:
        message = worker.next()
        assert Path(message["path"]).read_bytes() == b"data"
        context.hear({"type": "answer", "call": message["call"], "problem": "No space left on device."})

    threading.Thread(target=answer).start()
    with pytest.raises(StorageError, match="No space left"):
        context.save_artifact("a.bin", b"data", "application/octet-stream")


@pytest.mark.parametrize(("path", "expected"), [("/store/x", Path("/store/x")), (None, None)])
def test_a_kept_artifact_is_where_the_worker_says(
    context: RunnerContext, worker: Worker, path: str | None, expected: Path | None
) -> None:
    def answer() -> None:
        message = worker.next()
        assert (message["type"], message["name"]) == ("kept_artifact", "a.bin")
        context.hear({"type": "answer", "call": message["call"], "problem": None, "path": path})

    threading.Thread(target=answer).start()
    assert context.kept_artifact("a.bin") == expected


@pytest.mark.parametrize(
    "value",
    [{1, 2}, b"raw", datetime.now(UTC), math.nan, 10**5000],
    ids=["set", "bytes", "date", "no number", "too many digits"],
)
def test_what_is_no_json_is_refused_where_it_is_said(context: RunnerContext, worker: Worker, value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        context.output(0, value)
    context.log("the next one")
    assert worker.next()["message"] == "the next one"


def test_a_large_checkpoint_is_refused(context: RunnerContext) -> None:
    with pytest.raises(ValueError, match="64 KB"):
        context.checkpoint({"x": "y" * 70_000})


def test_a_stop_is_seen_and_ends_a_wait(context: RunnerContext) -> None:
    assert context.should_stop() is None
    waiter = threading.Thread(target=context.wait, args=(3600,))
    waiter.start()
    context.hear({"type": "stop", "mode": "cancel"})
    waiter.join(10)
    assert not waiter.is_alive()
    assert context.should_stop() == "cancel"


def test_a_job_is_asked_to_hand_back_once(context: RunnerContext) -> None:
    waiter = threading.Thread(target=context.wait, args=(3600,))
    waiter.start()
    context.hear({"type": "hand_back"})
    waiter.join(10)
    assert not waiter.is_alive()
    assert context.should_hand_back()
    assert context.should_stop() is None
    later = threading.Thread(target=context.wait, args=(3600,), daemon=True)
    later.start()
    later.join(0.1)
    assert later.is_alive()
    context.hear({"type": "stop", "mode": "cancel"})
    later.join(10)
    assert not later.is_alive()


def test_a_guard_waits_until_the_lease_is_known_to_hold(context: RunnerContext) -> None:
    context.hear({"type": "lease", "until": time.monotonic() - 1})
    guard = threading.Thread(target=context.guard)
    guard.start()
    assert guard.is_alive()
    context.hear({"type": "lease", "until": time.monotonic() + 60})
    guard.join(10)
    assert not guard.is_alive()


def test_a_share_beyond_the_whole_is_the_whole(context: RunnerContext, worker: Worker) -> None:
    context.progress(1.5, "more than everything")
    assert worker.next()["fraction"] == 1
