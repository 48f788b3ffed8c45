"""Turnout's side: a real API, a real worker with real runners, and all events."""

import json
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import psutil
from sqlalchemy import Engine, create_engine, text

from bench.queue_parts.ground import PYTHON, SQLITE, Ground, Run, wait_for
from bench.queue_parts.http_load import Load, listens, post_many

NO_OP = {"kind": "do_nothing", "spec": {}}
BULK = 10_000
_WARM_UP = 200


class Turnout:
    """An API on a ground of its own."""

    def __init__(self, ground: Ground, port: int) -> None:
        self.ground = ground
        self.port = port
        self.variables = {
            "TURNOUT_HOME": str(ground.home),
            "TURNOUT_API_PORT": str(port),
            "TURNOUT_BROKER_URL": ground.broker_url,
            "TURNOUT_DATABASE_URL": ground.database_url,
            "TURNOUT_KINDS": "bench.kinds",
        }
        self.engine: Engine = create_engine(ground.database_url)

    @contextmanager
    def serving(self, *, staged: bool = False) -> Iterator[httpx.Client]:
        """The API, and a client that is let in."""
        with self.ground.process("setup", *PYTHON, "api.setup", **self.variables) as setup:
            setup.wait(60)
        with self.ground.process("api", *PYTHON, *self._staged("api", staged), "api", **self.variables):
            wait_for(lambda: listens(self.port), "the API")
            headers = {"Authorization": f"Bearer {self.key}"}
            address = f"http://127.0.0.1:{self.port}"
            with httpx.Client(base_url=address, headers=headers, timeout=120, trust_env=False) as client:
                yield client
        self.engine.dispose()

    @contextmanager
    def worker(self, client: httpx.Client, slots: int, *, staged: bool = False) -> Iterator[psutil.Process]:
        """A warm cpu worker."""
        command = [*PYTHON, *self._staged("workers", staged), "workers", "--queue", "cpu", "--slots", str(slots)]
        with self.ground.process("worker", *command, **self.variables) as worker:
            wait_for(lambda: client.get("/v1/workers").json()["workers"], "the worker")
            submit_bulk(client, _WARM_UP)
            self.wait_until_done()
            yield worker

    def _staged(self, module: str, staged: bool) -> tuple[str, ...]:
        return ("bench.queue_parts.staged", str(self.ground.home / f"{module}-stages.json")) if staged else ()

    def stages(self, module: str, jobs: int) -> dict[str, tuple[float, float, float]]:
        """Of a process that ran staged and has ended: calls, milliseconds and CPU-milliseconds a job, by stage."""
        sums = json.loads((self.ground.home / f"{module}-stages.json").read_text())
        return {
            stage: (calls / jobs, 1000 * wall / jobs, 1000 * cpu / jobs) for stage, (calls, wall, cpu) in sums.items()
        }

    @property
    def key(self) -> str:
        return (self.ground.home / "api-key").read_text().strip()

    def freeze(self, worker: psutil.Process) -> None:
        """Stop the worker while it is in no transaction: frozen in one it would keep everyone else from writing."""
        with self.engine.connect() as connection:
            if self.ground.database_url.startswith(SQLITE):
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(text("LOCK TABLE jobs, workers, attempts, events IN SHARE ROW EXCLUSIVE MODE"))
            worker.send_signal(signal.SIGSTOP)
            wait_for(lambda: worker.status() == psutil.STATUS_STOPPED, "a frozen worker")
            connection.rollback()

    def wait_until_done(self) -> None:
        wait_for(lambda: not self._open_jobs(), "the jobs' end")

    def rows(self, columns: str, after: float) -> list[tuple[float, ...]]:
        """Times as seconds since the epoch, of the jobs that were made after a moment, all of which succeeded."""
        with self.engine.connect() as connection:
            names = [name.strip() for name in columns.split(",")]
            asked = ", ".join(f"{self._epoch(name)} AS {name}" for name in names)
            query = f"SELECT state, {asked} FROM jobs WHERE {self._epoch('created_at')} > :after"
            found = connection.execute(text(query), {"after": after}).all()
        failed = sum(row[0] != "succeeded" for row in found)
        if failed:
            raise RuntimeError(f"{failed} of {len(found)} jobs did not succeed")
        return [tuple(map(float, row[1:])) for row in found]

    def _epoch(self, column: str) -> str:
        if self.ground.database_url.startswith(SQLITE):
            return f"((julianday({column}) - 2440587.5) * 86400.0)"
        return f"extract(epoch FROM {column})"

    def _open_jobs(self) -> bool:
        query = "SELECT 1 FROM jobs WHERE queue = 'cpu' AND state IN ('queued', 'running') LIMIT 1"
        with self.engine.connect() as connection:
            return connection.execute(text(query)).first() is not None


def run_jobs(turnout: Turnout, jobs: int, slots: int) -> Run:
    """No-op jobs that wait for a warm worker."""
    with turnout.serving() as client, turnout.worker(client, slots) as worker:
        turnout.freeze(worker)
        submitted = time.time()
        submit_bulk(client, jobs)
        with turnout.ground.costing(jobs) as cost:
            began = time.time()
            worker.send_signal(signal.SIGCONT)
            turnout.wait_until_done()
        ends = [ended for _made, ended in turnout.rows("created_at, finished_at", submitted - 0.01)]
    if len(ends) != jobs:
        raise RuntimeError(f"{len(ends)} jobs instead of {jobs}")
    return Run(jobs / (max(ends) - began), cost)


def run_stages(turnout: Turnout, jobs: int, slots: int, load: Load) -> Run:
    """Where the time goes: in the API for submissions one by one, in the worker for no-op jobs."""
    with turnout.serving(staged=True):
        post_many(turnout.ground, replace(load, key=turnout.key, count=jobs), warm_up=0)
    submissions = turnout.stages("api", jobs)
    with turnout.serving() as client, turnout.worker(client, slots, staged=True):
        submit_bulk(client, jobs)
        turnout.wait_until_done()
    # What was submitted before runs, too.
    ended = turnout.stages("workers", 2 * jobs + _WARM_UP)
    stages = {f"submit: {name}": cost for name, cost in submissions.items()}
    return Run(0, stages=stages | {f"run: {name}": cost for name, cost in ended.items()})


def run_submissions(turnout: Turnout, load: Load) -> Run:
    """One job a request. No worker runs, so that only the submission is measured."""
    with turnout.serving():
        return post_many(turnout.ground, replace(load, key=turnout.key))


def run_bulk(turnout: Turnout) -> Run:
    """Rows a second in one request of ten thousand; the median of three."""
    with turnout.serving() as client:
        submit_bulk(client, _WARM_UP)
        seconds: list[float] = []
        with turnout.ground.costing(3 * BULK) as cost:
            for _ in range(3):
                began = time.perf_counter()
                submit_bulk(client, BULK)
                seconds.append(time.perf_counter() - began)
    return Run(BULK / sorted(seconds)[1], cost, {"request": [1000 * value for value in seconds]})


def run_one_by_one(turnout: Turnout, jobs: int, slots: int) -> Run:
    """One job at a time for an idle worker: how long until it runs, and until its end."""
    with turnout.serving() as client, turnout.worker(client, slots):
        began = time.time()
        answers: list[float] = []
        with turnout.ground.costing(jobs) as cost:
            for _ in range(jobs):
                # At any moment of the worker's periodic chores.
                time.sleep(random.uniform(0.03, 0.07))  # noqa: S311 - no secret
                sent = time.perf_counter()
                client.post("/v1/jobs", json=NO_OP).raise_for_status()
                answers.append(1000 * (time.perf_counter() - sent))
            turnout.wait_until_done()
        rows = turnout.rows("created_at, started_at, finished_at", began - 0.01)
    millis = {
        "answer": answers,
        "started": [1000 * (started - made) for made, started, _ended in rows],
        "finished": [1000 * (ended - made) for made, _started, ended in rows],
    }
    return Run(0, cost, millis)


def submit_bulk(client: httpx.Client, jobs: int) -> None:
    for start in range(0, jobs, BULK):
        body = json.dumps({"jobs": [NO_OP] * min(BULK, jobs - start)})
        answer = client.post("/v1/jobs/bulk", content=body, headers={"Content-Type": "application/json"})
        if not answer.is_success:
            raise RuntimeError(f"a bulk submission was answered with {answer.text}")
