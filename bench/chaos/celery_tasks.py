"""The same computations as tasks of plain Celery, set up as its documentation recommends for work that must not get
lost: late acknowledgement, rejection when a process of the pool dies, no hoarding, results in SQL."""

import os
from typing import Any

from celery import Celery

from bench.chaos import computations
from bench.chaos.ledger import noted

app = Celery("chaos", broker=os.environ["CHAOS_BROKER_URL"], backend="db+" + os.environ["CHAOS_RESULTS_URL"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
)


@app.task(name="run_planned", bind=True)  # type: ignore[untyped-decorator]
def run_planned(self: Any, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """One job of the stream; the result names the run as Turnout's does."""
    amounts = {name: value for name, value in spec.items() if name not in ("ledger", "entry")}
    with noted(spec["ledger"], spec["entry"], self.request.id, 0):
        getattr(computations, kind)(**amounts)
    return {"entry": spec["entry"], "attempt": 0, "pid": os.getpid()}
