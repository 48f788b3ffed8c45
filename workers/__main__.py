"""``python -P -m workers --queue h2o [--slots N]``: one worker, until SIGTERM."""

import argparse
import os
import signal
import socket
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import structlog
from celery import Celery, signals
from sqlalchemy.exc import OperationalError, ProgrammingError

import db
import tasks
import workers
from db import workers as worker_rows
from db.claims import Claimant
from db.engine import Database
from db.leases import end_left_behind
from db.settings import DatabaseSettings
from tasks.celery_app import make_app, register_kinds
from tasks.ends import EndSender
from tasks.garbage import collect_rarely
from tasks.hints import HintSender
from tasks.logs import configure
from tasks.queues import Queue
from tasks.registry import load_kinds
from tasks.settings import BrokerSettings
from tasks.teller import Teller
from workers.control import RemoteControl
from workers.devices import Gpu, NoSuchDevice
from workers.leaving import Leaving, ToldToEnd, end_process, raise_when_told
from workers.placement import Place, default_slots, find_gpu, runner_settings, take_place
from workers.settings import WorkerSettings
from workers.slots import Slots
from workers.supervisor import Supervisor
from workers.threads import end_with_any_thread
from workers.webhook_settings import WebhookSettings
from workers.webhooks import Deliverer

log = structlog.get_logger()

_RETRY_SECONDS = 1.0


def check_rooms() -> None:
    """Exit if another module has taken one of our common names (a ``tasks.py`` on PYTHONPATH, say)."""
    ours = Path(workers.__file__ or "").parent.parent
    for room in (db, tasks):
        if Path(room.__file__ or "").parent.parent != ours:
            sys.exit(f"{room.__name__} is {room.__file__}, which is not Turnout's; take it off PYTHONPATH.")


def main() -> None:
    check_rooms()
    end_with_any_thread()
    raise_when_told()
    sys.setswitchinterval(0.0005)
    parser = argparse.ArgumentParser(prog="turnout worker", description="Run jobs of one queue.")
    parser.add_argument("--queue", required=True, choices=[queue.value for queue in Queue])
    parser.add_argument("--slots", type=int, help="jobs at once (default: one; on cpu one for each core)")
    parser.add_argument(
        "--device", help="the GPU of its runners, by number or id as nvidia-smi has them (default on gpu: the first)"
    )
    arguments = parser.parse_args()
    slots = arguments.slots or default_slots(arguments.queue)
    settings = WorkerSettings()
    try:
        gpu = find_gpu(arguments.queue, arguments.device)
    except NoSuchDevice as exc:
        parser.error(str(exc))
    place = take_place(settings, arguments.queue)
    configure(f"worker-{place.name}")
    code = 0
    with suppress(ToldToEnd), ExitStack() as closing:
        code = _work(settings, closing, queue=arguments.queue, slots=slots, place=place, gpu=gpu)
    end_process(code)


def _work(
    settings: WorkerSettings, closing: ExitStack, *, queue: str, slots: int, place: Place, gpu: Gpu | None
) -> int:
    """Until the worker is told to stop; returns the exit code. What has to be done then is put into ``closing``."""
    broker, data = BrokerSettings(), DatabaseSettings()
    app = make_app(broker.broker_url.get_secret_value())
    supervisor = _assemble(settings, broker, data, queue=queue, slots=slots, place=place, gpu=gpu, app=app)
    closing.callback(supervisor.close)
    supervisor.start()
    deliverer = _deliver_webhooks(data)
    if deliverer is not None:
        closing.callback(deliverer.close)
    log.info("worker_started", queue=queue, slots=slots, gpu=None if gpu is None else gpu.name)
    collect_rarely()
    return _consume(
        app, supervisor, Leaving(supervisor, settings.grace, closing.close), name=place.name, queue=queue, slots=slots
    )


def _assemble(
    settings: WorkerSettings,
    broker: BrokerSettings,
    data: DatabaseSettings,
    *,
    queue: str,
    slots: int,
    place: Place,
    gpu: Gpu | None,
    app: Celery,
) -> Supervisor:
    database = Database(data.url)
    kinds = load_kinds(broker.kinds)
    worker_id = _register(database, place, queue=queue, slots=slots, kinds=sorted(kinds))
    supervisor = Supervisor(
        settings=settings,
        data=data,
        database=database,
        sender=HintSender(broker.broker_url.get_secret_value()),
        ends=Teller(EndSender(broker.broker_url.get_secret_value()), "ends"),
        kinds=kinds,
        claimant=Claimant(worker_id, place.name),
        queue=queue,
        slots=Slots(
            runner_settings(settings, worker=place.name, queue=queue, slots=slots, kinds=broker.kinds, gpu=gpu)
        ),
    )
    register_kinds(app, kinds, supervisor.carry)
    RemoteControl(database, supervisor.wake).install()
    return supervisor


def _register(database: Database, place: Place, *, queue: str, slots: int, kinds: list[str]) -> str:
    """Enter this worker in the database, and end what its predecessor left running; waits for a database that is away
    or not migrated yet. Returns the worker's id."""
    hostname, pid = socket.gethostname(), os.getpid()
    while True:
        try:
            with database.write() as session:
                worker_id = worker_rows.register(
                    session, name=place.name, hostname=hostname, pid=pid, queue=queue, slots=slots, kinds=kinds
                )
                left = () if place.predecessor is None else end_left_behind(session, place.predecessor, hostname)
        except (OperationalError, ProgrammingError) as exc:
            log.warning("worker_not_registered_yet", why=str(exc.orig))
            time.sleep(_RETRY_SECONDS)
            continue
        place.enter(worker_id)
        for token in left:
            log.warning("predecessor_died", job_id=token.job_id, attempt=token.attempt)
        return worker_id


def _deliver_webhooks(data: DatabaseSettings) -> Deliverer | None:
    settings = WebhookSettings()
    if not settings.deliver_webhooks:
        return None
    deliverer = Deliverer(Database(data.url), settings.webhook_allow)
    deliverer.start()
    return deliverer


def _consume(app: Celery, supervisor: Supervisor, leaving: Leaving, *, name: str, queue: str, slots: int) -> int:
    """Take hints until the worker is told to stop; returns the exit code."""

    @signals.worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
    def stopping(**_fields: Any) -> None:
        leaving.tell()

    @signals.worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
    def ready(sender: Any, **_fields: Any) -> None:
        supervisor.consuming(sender)

    class Worker(app.Worker):  # type: ignore[misc]
        def install_platform_tweaks(self, worker: Any) -> None:
            super().install_platform_tweaks(worker)
            leaving.hear_first(signal.SIGTERM)

    worker = Worker(
        hostname=f"{name}@{socket.gethostname()}",
        pool="threads",
        concurrency=slots,
        queues=[queue],
        loglevel="WARNING",
        task_events=True,
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )
    code = _run_celery(worker, leaving)
    leaving.finish()
    return code


def _run_celery(worker: Any, leaving: Leaving) -> int:
    """The exit code. A broker that goes away amid Celery's farewell may break that; the jobs are not its concern."""
    try:
        worker.start()
    except Exception:
        if not leaving.was_told:
            raise
        log.exception("celery_ended_badly")
        return 0
    code = int(worker.exitcode or 0)
    if code and leaving.was_told:
        log.warning("celery_ended_badly", exit_code=code)
        return 0
    return code


if __name__ == "__main__":
    main()
