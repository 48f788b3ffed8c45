"""The baselines: plain Celery without results, and with a SQLAlchemy result backend."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from celery import Celery

from bench.queue_parts.ground import PYTHON, Ground, Run, wait_for
from bench.queue_parts.http_load import Load, post_many

_APP = "bench.queue_parts.plain_celery"
_WARM_UP = 200


def run_tasks(ground: Ground, tasks: int, threads: int, *, with_backend: bool) -> Run:
    """No-op tasks that wait for a warm worker on a threads pool."""
    app = Celery("bench", broker=ground.broker_url)
    with _worker(ground, threads, with_backend=with_backend) as worker:
        _send_all(app, ground, _WARM_UP)
        wait_for(lambda: _noted(ground), "the warm-up's end")
        worker.send_signal(signal.SIGSTOP)
        _send_all(app, ground, tasks)
        with ground.costing(tasks) as cost:
            began = time.time()
            worker.send_signal(signal.SIGCONT)
            ended = wait_for(lambda: _noted(ground), "the tasks' end")
    return Run(tasks / (ended - began), cost)


def run_submissions(ground: Ground, load: Load) -> Run:
    """FastAPI and ``delay()``: nothing is durable but what the broker keeps."""
    variables = {"PLAIN_BROKER": ground.broker_url}
    command = [*PYTHON, "uvicorn", f"{_APP}:api", "--port", str(load.port), "--no-access-log", "--log-level", "warning"]
    with ground.process("api", *command, **variables):
        return post_many(ground, load)


@contextmanager
def _worker(ground: Ground, threads: int, *, with_backend: bool) -> Iterator[psutil.Process]:
    variables = {"PLAIN_BROKER": ground.broker_url}
    if with_backend:
        variables["PLAIN_BACKEND"] = f"db+{ground.database_url}"
    options = ["--pool", "threads", "--concurrency", str(threads), "--loglevel", "WARNING"]
    celery = str(Path(sys.executable).with_name("celery"))
    with ground.process("worker", celery, "--app", f"{_APP}:celery", "worker", *options, **variables) as worker:
        yield worker


def _send_all(app: Celery, ground: Ground, tasks: int) -> None:
    _note(ground).unlink(missing_ok=True)
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(tasks):
            app.send_task("do_nothing", producer=producer)
        app.send_task("note_the_time", [str(_note(ground))], producer=producer)


def _note(ground: Ground) -> Path:
    return ground.home / "note"


def _noted(ground: Ground) -> float:
    return float(_note(ground).read_text()) if _note(ground).exists() else 0.0
