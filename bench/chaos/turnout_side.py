"""Turnout under fire: an API and workers, without Flower and H2O, and what is found in its database afterwards."""

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import psutil
from sqlalchemy import text

from bench.chaos import witness
from bench.chaos.evidence import Attempt, End, Evidence
from bench.chaos.http_submitter import HttpSubmitter
from bench.chaos.parts import PYTHON, Part, clean_environment, wait_for
from bench.chaos.receiver import Receiver
from bench.chaos.stand import SLOTS, WORKERS, Stand
from bench.chaos.stream import RUNNER_MEMORY_BYTES, Planned
from bench.chaos.watchers import Watchers
from tests.servers import free_port

_UNFINISHED = "SELECT count(*) FROM jobs WHERE state NOT IN ('succeeded', 'failed', 'cancelled')"


class TurnoutSide:
    """Puts its parts into the stand."""

    name = "Turnout"

    def __init__(self, stand: Stand) -> None:
        port = free_port()
        self._stand = stand
        self._home = stand.directory / "home"
        self._url = f"http://127.0.0.1:{port}"
        environment = clean_environment(
            TURNOUT_HOME=str(self._home),
            TURNOUT_DATABASE_URL=stand.database_url,
            TURNOUT_BROKER_URL=stand.broker_url,
            TURNOUT_API_PORT=str(port),
            TURNOUT_KINDS="bench.chaos.kinds",
            TURNOUT_GRACE="PT2S",
            TURNOUT_WEBHOOK_ALLOW="127.0.0.0/8",
            TURNOUT_RUNNER_MEMORY=str(RUNNER_MEMORY_BYTES),
        )
        log = stand.directory / "log"
        subprocess.run([*PYTHON, "api.setup"], env=environment, check=True)
        witness.station(stand.engine, "jobs")
        stand.api = Part("api", [*PYTHON, "api"], environment, log)
        worker = [*PYTHON, "workers", "--queue", "cpu", "--slots", str(SLOTS)]
        stand.workers = [Part(f"worker-{number}", worker, environment, log) for number in range(WORKERS)]
        stand.is_runner = _is_runner
        stand.answers = self._answers

    def start(self) -> None:
        for part in self._stand.parts():
            part.start()
        key = (self._home / "api-key").read_text().strip()
        wait_for(self._answers, 60, "the API")
        with httpx.Client(headers={"Authorization": f"Bearer {key}"}, trust_env=False) as client:
            wait_for(lambda: _count_workers(client, self._url) == WORKERS, 60, "the workers")
        self._watchers = Watchers(self._url, key)
        self._watchers.start()
        self._receiver = Receiver()
        self._receiver.start()
        self._submitter = HttpSubmitter(self._url, key, self._stand.ledger, self._watchers, self._receiver)

    def submit(self, stream: Sequence[Planned], seconds: float) -> None:
        self._submitter.submit(stream, seconds)

    def is_done(self) -> bool:
        if not self._submitter.finished:
            return False
        with self._stand.engine.connect() as connection:
            return not connection.execute(text(_UNFINISHED)).scalar_one()

    def end(self) -> Evidence:
        self._submitter.close()
        # A stream may have been broken a moment ago, and a delivery that failed twice is tried again after 16 s.
        deadline = time.monotonic() + 90
        while (self._watchers.untold() or self._receiver.untold()) and time.monotonic() < deadline:
            time.sleep(0.1)
        untold = [f"watchers were not told of the end of job {job_id}" for job_id in self._watchers.untold()]
        untold += [f"no webhook told of the end of job {job_id}" for job_id in self._receiver.untold()]
        self._watchers.close()
        self._receiver.close()
        self._stand.trouble += [*self._submitter.failures, *untold]
        return self._evidence()

    def _evidence(self) -> Evidence:
        stand = self._stand
        stand.ledger.read()
        with stand.engine.connect() as connection:
            found = Evidence(
                accepted=stand.ledger.accepted,
                runs=list(stand.ledger.runs.values()),
                writes=witness.writes_seen(connection),
                ends={row.id: _end(row) for row in connection.execute(text(_JOBS))},
                harms=stand.harms,
                stored_finals={row.job_id: row.n for row in connection.execute(text(_FINALS))},
                eaters=frozenset(connection.execute(text(_EATERS)).scalars()),
                told=self._watchers.told,
                webhooks=self._receiver.told,
                cancelled=self._submitter.cancelled,
                wall_minus_monotonic=stand.wall_minus_monotonic,
                trouble=stand.trouble,
            )
            attempts = [self._attempt(row) for row in connection.execute(text(_ATTEMPTS))]
        return replace(found, attempts=attempts)

    def _attempt(self, row: Any) -> Attempt:
        claimed_at = _moment(row.started_at) - self._stand.wall_minus_monotonic
        ended_at = None if row.ended_at is None else _moment(row.ended_at) - self._stand.wall_minus_monotonic
        return Attempt(row.job_id, row.attempt, row.pid or 0, claimed_at, ended_at, row.outcome, row.reason)

    def _answers(self) -> bool:
        try:
            return bool(httpx.get(self._url + "/readyz", trust_env=False, timeout=5).is_success)
        except httpx.TransportError:
            return False


_JOBS = "SELECT id, state, reason, attempt, result, spec, metrics FROM jobs"
_EATERS = "SELECT id FROM jobs WHERE kind = 'eat_memory'"
_FINALS = "SELECT job_id, count(*) AS n FROM events WHERE type = 'final' GROUP BY job_id"
_ATTEMPTS = """
SELECT a.job_id, a.attempt, w.pid, a.started_at, a.ended_at, a.outcome, a.reason
FROM attempts AS a LEFT JOIN workers AS w ON w.id = a.worker_id
"""


def _end(row: Any) -> End:
    result, spec = _document(row.result), _document(row.spec)
    named = (result["attempt"], result["pid"]) if result else None
    peak = _document(row.metrics).get("peak_memory_bytes")
    return End(spec["entry"], row.state, row.reason, row.attempt, named, peak)


def _document(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _moment(value: str | datetime) -> float:
    when = datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else value
    return when.timestamp()


def _count_workers(client: httpx.Client, url: str) -> int:
    return len(client.get(f"{url}/v1/workers").json()["workers"])


def _is_runner(process: psutil.Process) -> bool:
    try:
        return "workers.runner" in process.cmdline()
    except psutil.NoSuchProcess:
        return False
