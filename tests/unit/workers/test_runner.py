"""A runner's threads, in this process: what one job waits for keeps no other, and nobody from going."""

import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workers.channel import Channel, ChannelClosed, Message
from workers.runner import Runner

_BENCH = {"device": "cpu", "threads": 1, "model_bytes": 1, "idle_seconds": 1, "batch_wait_seconds": 0}


class Told:
    """A runner with four seats, and what it says."""

    def __init__(self, directory: Path) -> None:
        ours, theirs = socket.socketpair()
        self._connection, self._channel = ours, Channel(ours)
        self._heard: queue.SimpleQueue[Message] = queue.SimpleQueue()
        greeting = {
            "kinds": [],
            "runtimes": {},
            "memory_bytes": 1 << 30,
            "seats": 4,
            "inference": {**_BENCH, "model_cache": str(directory)},
        }
        runner = Runner(Channel(theirs), greeting)
        for work in (runner.serve, self._listen):
            threading.Thread(target=work, daemon=True).start()

    def order(self, job_id: str) -> None:
        spec = {"kind": "embed_text", "model": "model", "texts": [job_id]}
        how = {"kind": "embed_text", "spec": spec, "checkpoint": None, "inputs": {}, "scratch": "", "lease_until": 0.0}
        self.tell("run", job_id, **how)

    def tell(self, what: str, job_id: str, **fields: Any) -> None:
        self._channel.send({"type": what, "job_id": job_id, "attempt": 1, **fields})

    def ended(self) -> tuple[str, str]:
        """The job of which it says next that it ended, and its code."""
        while True:
            message = self._heard.get(timeout=10)
            if message["type"] == "finished":
                return message["job_id"], message["code"]

    def close(self) -> None:
        self._connection.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        try:
            while True:
                self._heard.put(self._channel.receive())
        except ChannelClosed:
            return


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    gone = threading.Event()
    monkeypatch.setattr("workers.runner.os._exit", lambda _code: gone.set())
    told = Told(tmp_path)
    yield told
    told.close()
    assert gone.wait(10)


class Library:
    """Takes until it is let through to be imported; embeds nothing, but says for whom it would have."""

    def __init__(self) -> None:
        self.wanted, self.there = threading.Event(), threading.Event()
        self.made = 0

    def imported(self, _name: str) -> SimpleNamespace:
        self.wanted.set()
        assert self.there.wait(10)
        return SimpleNamespace(create=self._create)

    def _create(self, _settings: object, _workbench: object) -> SimpleNamespace:
        self.made += 1
        return SimpleNamespace(embed=lambda _spec, _job: {"vectors": [[1.0]], "dimensions": 1})


@pytest.fixture
def library(runner: Told, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """For the runner, which is not to go while it waits for it."""
    library = Library()
    monkeypatch.setattr("workers.runner._imported", library.imported)
    yield library
    library.there.set()


def test_who_is_cancelled_while_the_library_is_imported_goes_alone(runner: Told, library: Library) -> None:
    """What does not end when it is asked to is ended with its runner, and with all jobs that wait there too."""
    for job_id in ("a", "b", "c"):
        runner.order(job_id)
    assert library.wanted.wait(10)
    runner.tell("stop", "a", mode="cancel")
    assert runner.ended() == ("a", "cancelled_by_user")
    runner.tell("hand_back", "b")
    assert runner.ended()[0] == "b"
    library.there.set()
    assert runner.ended() == ("c", "completed")
    assert library.made == 1
