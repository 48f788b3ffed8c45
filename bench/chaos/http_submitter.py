"""Submits the stream over HTTP as a program does that means to lose none and to double none: most in bulk, the rest one
by one, each request as often as it takes under an ``Idempotency-Key`` of its own."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from bench.chaos.canceller import Canceller
from bench.chaos.evidence import Cancelled
from bench.chaos.ledger import Ledger, append
from bench.chaos.receiver import Receiver
from bench.chaos.stream import Planned
from bench.chaos.watchers import Watchers

_EVERY_SECONDS = 0.25
_BULK_SHARE = 0.9
_PATIENCE_SECONDS = 180
_MOST_IN_BULK = 5_000


class HttpSubmitter:
    """Paced: ``submit`` begins and returns; ``finished`` tells when all is accepted."""

    def __init__(self, url: str, key: str, ledger: Ledger, watchers: Watchers, receiver: Receiver) -> None:
        self._url, self._ledger = url, str(ledger.path)
        self._watchers, self._receiver = watchers, receiver
        self._headers = {"Authorization": f"Bearer {key}"}
        self._threads: list[threading.Thread] = []
        self._client_of_canceller = self._client()
        self._canceller = Canceller(self._cancel)
        self._failures: list[str] = []

    def submit(self, stream: Sequence[Planned], seconds: float) -> None:
        cut = int(len(stream) * _BULK_SHARE)
        bulk, single = stream[:cut], stream[cut:]
        work: list[tuple[Callable[..., None], tuple[object, ...]]] = [
            (self._submit_in_bulk, (bulk, seconds)),
            (self._submit_one_by_one, (single[::2], seconds)),
            (self._submit_one_by_one, (single[1::2], seconds)),
        ]
        self._threads = [threading.Thread(target=self._guarded, args=(do, *words), daemon=True) for do, words in work]
        for thread in self._threads:
            thread.start()
        self._canceller.start()

    @property
    def finished(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def cancelled(self) -> Sequence[Cancelled]:
        return self._canceller.cancelled

    @property
    def failures(self) -> Sequence[str]:
        return [*self._failures, *self._canceller.failures]

    def close(self) -> None:
        """Once everything ended."""
        self._canceller.close()
        self._client_of_canceller.close()

    def _guarded(self, do: Callable[..., None], *words: object) -> None:
        try:
            do(*words)
        except (RuntimeError, TimeoutError) as exc:
            self._failures.append(str(exc))

    def _submit_in_bulk(self, stream: Sequence[Planned], seconds: float) -> None:
        with self._client() as client:
            began, sent = time.monotonic(), 0
            while sent < len(stream):
                due = min(len(stream), int(len(stream) * (time.monotonic() - began) / seconds) + 1)
                some = stream[sent : min(due, sent + _MOST_IN_BULK)]
                if some:
                    body = {"jobs": [self._submission(one) for one in some]}
                    answer = self._insist(client, "/v1/jobs/bulk", body, f"bulk-{some[0].entry}")
                    for one, job in zip(some, answer["jobs"], strict=True):
                        self._note(one, job["id"])
                    sent += len(some)
                time.sleep(_EVERY_SECONDS)

    def _submit_one_by_one(self, stream: Sequence[Planned], seconds: float) -> None:
        with self._client() as client:
            began = time.monotonic()
            for number, one in enumerate(stream):
                time.sleep(max(0.0, began + seconds * number / len(stream) - time.monotonic()))
                answer = self._insist(client, "/v1/jobs", self._submission(one), one.entry)
                self._note(one, answer["id"])

    def _submission(self, one: Planned) -> dict[str, object]:
        submission: dict[str, object] = {"kind": one.kind, "spec": one.document(self._ledger)}
        if self._receiver.wants(one.entry):
            submission["webhook"] = {"url": self._receiver.url}
        return submission

    def _note(self, one: Planned, job_id: str) -> None:
        append(self._ledger, "accepted", one.entry, job_id, time.monotonic())
        self._watchers.watch(job_id)
        if self._receiver.wants(one.entry):
            self._receiver.expect(job_id)
        if one.cancel_after is not None:
            self._canceller.expect(job_id, one.cancel_after)

    def _cancel(self, job_id: str) -> bool:
        answer = self._insist(self._client_of_canceller, f"/v1/jobs/{job_id}/cancel", None, None)
        return "code" not in answer

    def _insist(self, client: httpx.Client, path: str, body: object, key: str | None) -> dict[str, Any]:
        """Send until it is answered. A conflict is an answer to a cancel that came too late."""
        headers = {} if key is None else {"Idempotency-Key": key}
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        trouble = ""
        while time.monotonic() < give_up_at:
            try:
                answer = client.post(path, json=body, headers=headers)
            except httpx.TransportError as exc:
                trouble = type(exc).__name__
            else:
                if answer.is_success or (key is None and answer.status_code == httpx.codes.CONFLICT):
                    document: dict[str, Any] = answer.json()
                    return document
                trouble = f"{answer.status_code} {answer.text[:300]}"
                if answer.is_client_error and answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                    raise RuntimeError(f"POST {path} was answered {trouble}")
            time.sleep(0.1)
        raise TimeoutError(f"POST {path} found no answer in {_PATIENCE_SECONDS} s; last: {trouble}")

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self._url, headers=self._headers, timeout=30, trust_env=False)
