"""The Celery application: the only place that knows Celery's options.

The broker decides nothing here. A message is a hint that a job may be there to claim; it is acknowledged when it is
taken, and a lost or doubled one does no harm.
"""

from collections.abc import Callable, Mapping
from typing import Any

from celery import Celery
from kombu.entity import Queue as BrokerQueue

from tasks.kind import Kind
from tasks.queues import Queue

_OPTIONS: dict[str, Any] = {
    "task_acks_late": False,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "worker_prefetch_multiplier": 1,
    # A worker holds no message beyond what its threads run, so that a job's order is decided as late as possible.
    "worker_disable_prefetch": True,
    "worker_send_task_events": True,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_connection_timeout": 2,
    "broker_transport_options": {
        # The server would keep an account of who has taken which hint, for a third of what a hint costs, and give a
        # dead worker's hints to others after an hour. SQL does so within seconds.
        "ack_emulation": False,
        "socket_connect_timeout": 2,
        # Longer than the second for which the server itself lets a worker wait for a hint. A connection that is made
        # while the server says nothing holds up the worker's event loop for so long.
        "socket_timeout": 3,
        "socket_keepalive": True,
        # A connection that died without a word is noticed after one to one and a half times this and that second.
        "health_check_interval": 3,
        "max_retries": 1,
    },
    "task_create_missing_queues": False,
    "task_default_queue": Queue.CPU.value,
    "enable_utc": True,
}


def make_app(broker_url: str) -> Celery:
    """The application, connected to nothing yet."""
    app = Celery("turnout", broker=broker_url, set_as_current=True)
    app.conf.update(_OPTIONS, task_queues=[BrokerQueue(queue.value) for queue in Queue])
    return app


def register_kinds(app: Celery, kinds: Mapping[str, Kind], carry: Callable[[Any, str], None]) -> None:
    """Give each kind its Celery task, so that Flower shows jobs under their kind. ``carry(task, job_id)`` runs one.

    A job of a shared kind goes on after its task's end, so Celery tells nothing of that.
    """
    for name, kind in kinds.items():

        def body(self: Any, job_id: str) -> None:
            carry(self, job_id)

        app.task(name=name, bind=True, ignore_result=True, acks_late=False, send_events=not kind.shared)(body)
