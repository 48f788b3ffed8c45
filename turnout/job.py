"""A handle of one job."""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from turnout.downloads import download
from turnout.errors import JobFailed, WaitedTooLong
from turnout.event_stream import follow
from turnout.parsing import parse, parse_job, parse_leaderboard
from turnout.records import Artifact, Attempt, Event, JobRecord, Json, Leaderboard
from turnout.transport import FOLLOWING_PATIENCE_SECONDS, Transport

_LONGEST_POLL_SECONDS = 30
_ANSWER_SECONDS = 15


class Job:
    """What can be done with a submitted job. ``record`` is what was last heard of it; ``refresh`` asks again."""

    def __init__(self, transport: Transport, record: JobRecord) -> None:
        self._transport = transport
        self.record = record

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.kind} {self.state}>"

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def kind(self) -> str:
        return self.record.kind

    @property
    def state(self) -> str:
        """As of the last answer."""
        return self.record.state

    @property
    def url(self) -> str:
        """The job's address at the API."""
        return f"{self._transport.url}/v1/jobs/{self.id}"

    def refresh(self) -> JobRecord:
        self.record = parse_job(self._transport.get(self._path()).json())
        return self.record

    def wait(self, timeout_seconds: float | None = None) -> JobRecord:
        """The job once it is final, whatever its end. Raises ``WaitedTooLong``."""
        give_up = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            left = _LONGEST_POLL_SECONDS if give_up is None else max(0.0, give_up - time.monotonic())
            wait = min(_LONGEST_POLL_SECONDS, int(left) + 1 if left else 0)
            answer = self._transport.get(
                self._path(),
                {"wait": wait},
                patience_seconds=FOLLOWING_PATIENCE_SECONDS if give_up is None else left,
                answer_seconds=wait + _ANSWER_SECONDS,
            )
            self.record = parse_job(answer.json())
            if self.record.is_final:
                return self.record
            if give_up is not None and time.monotonic() >= give_up:
                raise WaitedTooLong(f"Job {self.id} is still {self.state} after {timeout_seconds:g} s; it goes on.")

    def result(self, timeout_seconds: float | None = None) -> Json:
        """What the job found, once it succeeded. Raises ``JobFailed`` and ``WaitedTooLong``."""
        record = self.wait(timeout_seconds)
        if record.state != "succeeded" or record.result is None:
            raise JobFailed(record)
        return record.result

    def stream(self, after: int = 0) -> Iterator[Event]:
        """Each event numbered above ``after`` as it happens, until the job is final; outlasts lost connections."""
        return follow(self._transport, self.id, after)

    def events(self, after: int = 0) -> list[Event]:
        """The events up to now."""
        found: list[Event] = []
        while True:
            page = self._transport.get(self._path("/events"), {"format": "json", "after": after, "limit": 1000}).json()
            if not page["events"]:
                return found
            found += [parse(Event, event) for event in page["events"]]
            after = page["next_after"]

    def cancel(self) -> JobRecord:
        """Discard the job; a running one ends within seconds. Raises ``Conflict`` when it is final."""
        self.record = parse_job(self._transport.post(self._path("/cancel")).json())
        return self.record

    def stop(self) -> JobRecord:
        """End the job early and keep its best so far. Raises ``Conflict`` when it is final."""
        self.record = parse_job(self._transport.post(self._path("/stop")).json())
        return self.record

    def leaderboard(self) -> Leaderboard:
        """The models so far; no rows while there are none."""
        return parse_leaderboard(self._transport.get(self._path("/leaderboard")).json())

    def leaderboard_csv(self) -> str:
        """The same as a table with a header line."""
        return self._transport.get(self._path("/leaderboard"), headers={"Accept": "text/csv"}).text

    def attempts(self) -> list[Attempt]:
        answer = self._transport.get(self._path("/attempts")).json()
        return [parse(Attempt, attempt) for attempt in answer["attempts"]]

    def artifacts(self) -> list[Artifact]:
        answer = self._transport.get(self._path("/artifacts")).json()
        return [parse(Artifact, artifact, job_id=self.id) for artifact in answer["artifacts"]]

    def download(self, name: str, target: Path | str = ".") -> Path:
        """Keep an artifact as a local file; returns where it lies."""
        return download(self._transport, self._path(f"/artifacts/{quote(name, safe='')}"), Path(target), name)

    def _path(self, more: str = "") -> str:
        return f"/v1/jobs/{self.id}{more}"
