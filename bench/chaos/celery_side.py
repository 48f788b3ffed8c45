"""Plain Celery under fire, as people set it up: a prefork pool, Redis, results through SQLAlchemy."""

import json
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import redis
from celery import Celery
from celery.backends.database.session import SessionManager
from kombu.exceptions import OperationalError
from sqlalchemy import text

from bench.chaos import witness
from bench.chaos.canceller import Canceller
from bench.chaos.evidence import End, Evidence
from bench.chaos.ledger import append
from bench.chaos.parts import PYTHON, Part, clean_environment, wait_for
from bench.chaos.stand import WORKERS, Stand
from bench.chaos.stream import Planned

_PATIENCE_SECONDS = 180


class CelerySide:
    """Puts its workers into the stand. The submitter is a program that calls ``send_task``, and calls it again with the
    same id when that fails."""

    name = "plain Celery"

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        environment = clean_environment(CHAOS_BROKER_URL=stand.broker_url, CHAOS_RESULTS_URL=stand.database_url)
        manager = SessionManager()
        manager.prepare_models(stand.engine)
        witness.station(stand.engine, "celery_taskmeta")
        options = ["--pool", "prefork", "--concurrency", str(stand.needs.slots), "--loglevel", "WARNING"]
        stand.workers = [
            Part(
                f"worker-{number}",
                [*PYTHON, "celery", "-A", "bench.chaos.celery_tasks", "worker", "-n", f"w{number}@%h", *options],
                environment,
                stand.directory / "log",
            )
            for number in range(WORKERS)
        ]
        self._app = Celery("chaos-submitter", broker=stand.broker_url)
        self._canceller = Canceller(self._revoke)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        for worker in self._stand.workers:
            worker.start()
        wait_for(lambda: len(self._app.control.ping(timeout=1)) == WORKERS, 60, "the workers")

    def submit(self, stream: Sequence[Planned], seconds: float) -> None:
        self._thread = threading.Thread(target=self._submit_all, args=(stream, seconds), daemon=True)
        self._thread.start()
        self._canceller.start()

    def is_done(self) -> bool:
        if self._thread is not None and self._thread.is_alive():
            return False
        self._stand.ledger.read()
        with self._stand.engine.connect() as connection:
            ended = connection.execute(text("SELECT count(DISTINCT job_id) FROM chaos_witness")).scalar_one()
        return bool(ended >= len(self._stand.ledger.accepted))

    def end(self) -> Evidence:
        self._canceller.close()
        stand = self._stand
        stand.trouble += self._canceller.failures
        stand.ledger.read()
        with stand.engine.connect() as connection:
            rows = list(connection.execute(text("SELECT task_id, status, result FROM celery_taskmeta")))
            writes = witness.writes_seen(connection)
        entries = {job_id: entry for job_id, (entry, _at) in stand.ledger.accepted.items()}
        return Evidence(
            accepted=stand.ledger.accepted,
            runs=list(stand.ledger.runs.values()),
            writes=writes,
            ends={row.task_id: _end(entries[row.task_id], row) for row in rows if row.task_id in entries},
            harms=stand.harms,
            cancelled=self._canceller.cancelled,
            waiting=self._unacknowledged(),
            wall_minus_monotonic=stand.wall_minus_monotonic,
            trouble=stand.trouble,
        )

    def _submit_all(self, stream: Sequence[Planned], seconds: float) -> None:
        began = time.monotonic()
        for number, one in enumerate(stream):
            time.sleep(max(0.0, began + seconds * number / len(stream) - time.monotonic()))
            if not self._insist(one):
                self._stand.trouble.append(f"{one.entry} was not accepted in {_PATIENCE_SECONDS} s")
                return

    def _insist(self, one: Planned) -> bool:
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        spec = one.document(str(self._stand.ledger.path))
        while time.monotonic() < give_up_at:
            with suppress(OperationalError, redis.RedisError, OSError):
                self._app.send_task("run_planned", args=(one.kind, spec), task_id=f"task-{one.entry}")
                append(self._stand.ledger.path, "accepted", one.entry, f"task-{one.entry}", time.monotonic())
                if one.cancel_after is not None:
                    self._canceller.expect(f"task-{one.entry}", one.cancel_after)
                return True
            time.sleep(0.1)
        return False

    def _revoke(self, task_id: str) -> bool:
        """A broadcast, which promises nothing."""
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            with suppress(OperationalError, redis.RedisError, OSError):
                self._app.control.revoke(task_id, terminate=True)
                return False
            time.sleep(0.1)
        raise TimeoutError(f"{task_id} could not be revoked in {_PATIENCE_SECONDS} s")

    def _unacknowledged(self) -> frozenset[str]:
        """What Redis still holds: queued, or with a worker that is gone, until the visibility timeout of an hour."""
        client: redis.Redis = self._stand.broker.client()
        held: list[Any] = [json.loads(value)[0] for value in client.hvals("unacked")]
        queued: list[Any] = [json.loads(value) for value in client.lrange("celery", 0, -1)]
        return frozenset(message["headers"]["id"] for message in (*held, *queued))


def _end(entry: str, row: Any) -> End:
    result = json.loads(row.result) if row.result and row.status == "SUCCESS" else None
    return End(entry, row.status, None, 0, (result["attempt"], result["pid"]) if result else None)
