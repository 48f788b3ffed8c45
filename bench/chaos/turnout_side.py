"""Turnout under fire: an API and workers, without Flower and H2O, and what is found in its database afterwards."""

import json
import re
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
from bench.chaos.due_vectors import due_vectors
from bench.chaos.evidence import Attempt, End, Evidence
from bench.chaos.http_submitter import HttpSubmitter
from bench.chaos.models import lay_out
from bench.chaos.parts import PYTHON, Part, clean_environment, wait_for
from bench.chaos.receiver import Receiver
from bench.chaos.stand import WORKERS, Stand
from bench.chaos.stream import Planned
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
        self._planned: dict[str, Planned] = {}
        models = stand.directory / "models"
        if stand.needs.models:
            lay_out(models)
        environment = clean_environment(
            TURNOUT_HOME=str(self._home),
            TURNOUT_DATABASE_URL=stand.database_url,
            TURNOUT_BROKER_URL=stand.broker_url,
            TURNOUT_API_PORT=str(port),
            TURNOUT_KINDS="bench.chaos.kinds",
            TURNOUT_GRACE="PT2S",
            TURNOUT_WEBHOOK_ALLOW="127.0.0.0/8",
            TURNOUT_RUNNER_MEMORY=str(stand.needs.runner_memory_bytes),
            TURNOUT_MODELS=str(models),
        )
        log = stand.directory / "log"
        subprocess.run([*PYTHON, "api.setup"], env=environment, check=True)
        witness.station(stand.engine, "jobs")
        stand.api = Part("api", [*PYTHON, "api"], environment, log)
        worker = [*PYTHON, "workers", "--queue", "cpu", "--slots", str(stand.needs.slots)]
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
        self._planned = {one.entry: one for one in stream}
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
        due = due_vectors(self._planned.values())
        entries = {job_id: entry for job_id, (entry, _at) in stand.ledger.accepted.items()}
        with stand.engine.connect() as connection:
            found = Evidence(
                accepted=stand.ledger.accepted,
                runs=list(stand.ledger.runs.values()),
                writes=witness.writes_seen(connection),
                ends={row.id: _end(row) for row in connection.execute(text(_JOBS))},
                harms=stand.harms,
                stored_finals={row.job_id: row.n for row in connection.execute(text(_FINALS))},
                fates={job_id: self._planned[entry].fate for job_id, entry in entries.items()},
                due_vectors={job_id: due[entry] for job_id, entry in entries.items() if entry in due},
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
        found = _ENDED_FOR.search(row.cause or "")
        ended_for = found.group(1) if found else None
        pid = row.pid or 0
        return Attempt(row.job_id, row.attempt, pid, claimed_at, ended_at, row.outcome, row.reason, ended_for)

    def _answers(self) -> bool:
        try:
            return bool(httpx.get(self._url + "/readyz", trust_env=False, timeout=5).is_success)
        except httpx.TransportError:
            return False


_JOBS = "SELECT id, state, reason, attempt, result, spec, metrics FROM jobs"
_FINALS = "SELECT job_id, count(*) AS n FROM events WHERE type = 'final' GROUP BY job_id"
_ATTEMPTS = """
SELECT a.job_id, a.attempt, w.pid, a.started_at, a.ended_at, a.outcome, a.reason, a.cause
FROM attempts AS a LEFT JOIN workers AS w ON w.id = a.worker_id
"""
# As `workers.shared_execution` says it.
_ENDED_FOR = re.compile(r"ended because of job ([^,\s]+),")


def _end(row: Any) -> End:
    result, spec = _document(row.result), _document(row.spec)
    named = (result["attempt"], result["pid"]) if result else None
    metrics = _document(row.metrics)
    vectors = result.get("vectors") if result else None
    # Its batches were larger than what it brought itself.
    in_company = metrics.get("batch_size", 0) > metrics.get("inputs", 0)
    peak = metrics.get("peak_memory_bytes")
    return End(spec["entry"], row.state, row.reason, row.attempt, named, peak, vectors, in_company)


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
