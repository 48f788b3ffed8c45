"""A stream of short jobs, submitted as a program submits that means to lose none and to double none."""

import threading
import time
from types import TracebackType
from typing import Self

from tests.acceptance.ledger import Ledger
from tests.acceptance.once import assert_succeeded_once
from tests.waiting import until
from turnout import Client
from turnout.errors import ServerTrouble, ServerUnreachable
from turnout.job import Job

_MOST_OPEN = 8
_PATIENCE_SECONDS = 90


class ShortJobs:
    """Submits jobs of one queue until the block ends, each as often as it takes under an ``Idempotency-Key`` of its
    own; a few are always open."""

    def __init__(self, client: Client, ledger: Ledger, name: str, queue: str) -> None:
        self._client = client
        self._ledger = ledger
        self._name = f"{name}-{queue}"
        self._queue = queue
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._submit_all, name=f"submit-{self._name}", daemon=True)
        self.accepted: list[Job] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def wait_for_more(self, count: int, seconds: float = 120) -> None:
        """Until so many further jobs came to their end."""
        before = len(self._ended())

        def enough() -> bool:
            assert self._thread.is_alive(), "nobody submits any more"
            return len(self._ended()) >= before + count

        until(enough, seconds, what=f"{count} more jobs of {self._name}")

    def wait_for_one_in_hand(self) -> None:
        """Until a runner is busy with one of these jobs."""
        until(lambda: self._of_mine(self._ledger.begun()) - self._ended(), 60, what=f"a running job of {self._name}")

    def assert_each_succeeded_once(self) -> None:
        for job in self.accepted:
            assert_succeeded_once(job)
            assert job.record.result is not None
            assert job.record.result["attempt"] == job.record.attempt
            assert job.record.result["entry"] == job.record.spec["entry"]
        there = [job.id for job in self._client.jobs(tags={"stream": self._name})]
        assert sorted(there) == sorted(job.id for job in self.accepted)

    def _submit_all(self) -> None:
        number = 0
        while not self._end.wait(0.02):
            if number - len(self._ended()) < _MOST_OPEN:
                self._submit(f"{self._name}-{number}")
                number += 1

    def _submit(self, entry: str) -> None:
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                job = self._client.submit(
                    "keep_ledger",
                    {"ledger": str(self._ledger.path), "entry": entry},
                    queue=self._queue,
                    tags={"stream": self._name},
                    idempotency_key=entry,
                )
            except (ServerUnreachable, ServerTrouble):
                if time.monotonic() > give_up_at:
                    raise
            else:
                self.accepted.append(job)
                return

    def _ended(self) -> set[str]:
        return self._of_mine(self._ledger.ended())

    def _of_mine(self, entries: set[str]) -> set[str]:
        return {entry for entry in entries if entry.startswith(f"{self._name}-")}
